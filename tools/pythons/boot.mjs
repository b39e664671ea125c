// node boot.mjs PYODIDE SITE ROOT OUT: let tools/pythons/inside.py work off OUT/orders.json.
const [, , pyodide, site, root, out] = process.argv;
const { loadPyodide } = await import(`${pyodide}/pyodide.mjs`);
const env = {
  HOME: '/tmp',
  HYPOTHESIS_STORAGE_DIRECTORY: '/site/.hypothesis', // its tables of Unicode take a minute
  MSGPACK_PUREPYTHON: '1',
  PYTHONDONTWRITEBYTECODE: '1',
  PYTHONHASHSEED: '0',
  PYTHONTZPATH: '', // tzdata is in SITE
  WSGISTACK_EXAMPLES: process.env.WSGISTACK_EXAMPLES ?? '10', // it is some ten times as slow
};
const python = await loadPyodide({ env });
for (const [at, folder] of [['/site', site], ['/out', out], [root, root]]) {
  python.FS.mkdirTree(at);
  python.FS.mount(python.FS.filesystems.NODEFS, { root: folder }, at);
}
python.globals.set('root', root);
const status = python.runPython(`
import os, sys
sys.path[:0] = [root, "/site"]
os.chdir(root)
from tools.pythons.inside import work
work("/out")
`);
process.exit(status);
