"""The store that all processes of a machine share: compiled (`arena`, `segment`), opened by `store`."""
