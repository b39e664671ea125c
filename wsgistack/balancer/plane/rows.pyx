"""What a plane is doing, as rows (dicts) for the admin port; inspect.py makes the answers of them."""

from wsgistack.balancer.plane.buf cimport buf_len
from wsgistack.balancer.plane.core cimport CLIENT_BUSY, CLIENT_HEAD, CLIENT_LINGER, Client, Conn, Core, Listener, Node
from wsgistack.balancer.plane.exchange cimport RES_BODY, RES_HEAD, RES_TUNNEL, Exchange

CONN_STATES = ("connecting", "verifying_backend", "bored", "busy")
LANE_NAMES = ("normal", "highpri", "lowpri")     # in the order of queues.pxd
WAITING = ("wait_backend", "wait_backend_high", "wait_backend_low")


cdef str client_name(const char* peer, unsigned short port):
    text = peer.decode()
    if not port:
        return text
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"


cdef list all_rows(Core* core, list nodes):
    cdef Client* c = core.clients
    cdef Listener* l = core.listeners
    cdef Conn* conn
    cdef Node* node
    out = []
    while l != NULL:
        out.append({"kind": "listener", "fd": l.ep.fd, "age": 0, "service": l.service.name.decode(),
                    "state": "listening", "local": l.address.decode()})
        l = l.next
    while c != NULL:
        out.append(client_row(core, c))
        c = c.next
    for pointer in nodes:
        node = <Node*><size_t>pointer
        conn = node.all
        while conn != NULL:
            out.append({"kind": "node", "fd": conn.ep.fd, "age": (core.now_ms - conn.born_ms) / 1000,
                        "service": conn.service.name.decode(), "state": CONN_STATES[conn.state],
                        "since": (core.now_ms - conn.since_ms) / 1000,
                        "peer": node.address.decode(), "requests": conn.uses, "node": node.address.decode(),
                        "client": conn.client.ep.fd if conn.client != NULL else None})
            conn = conn.next
    return out


cdef dict client_row(Core* core, Client* c):
    cdef Node* node = NULL
    row = {"kind": "client", "fd": c.ep.fd, "age": (core.now_ms - c.born_ms) / 1000,
           "service": c.service.name.decode(), "peer": client_name(c.peer, c.port),
           "requests": c.requests, "node": None, "waited": None}
    if c.state == CLIENT_BUSY and c.ex.node != NULL:
        node = <Node*>c.ex.node
        row["node"] = node.address.decode()
    if c.state == CLIENT_BUSY and (c.ex.wait_ms or c.ex.queued):
        since_ms = c.ex.queued_us // 1000 if c.ex.queued else c.ex.wait_ms
        row["waited"] = (core.now_ms - since_ms) / 1000
        row["lane"] = LANE_NAMES[c.ex.lane]
    row["state"] = client_state(c)
    return row


# Perlbal's words for what a client's connection is doing.
cdef str client_state(Client* c):
    cdef Exchange* ex = c.ex
    if c.state == CLIENT_LINGER:
        return "closed"
    if c.state == CLIENT_HEAD:
        return "reading_headers" if buf_len(&c.inp) or not c.requests else "persist_wait"
    if ex.wait_ms or ex.queued:
        return WAITING[ex.lane]
    if ex.res_state == RES_TUNNEL:
        return "tunnel"
    if ex.conn == NULL:
        return "buffering_request" if ex.res_state == RES_HEAD else "draining_res"
    if ex.res_state == RES_BODY:
        return "xfer_res"
    return "wait_res" if ex.req_done else "backend_req_sent"
