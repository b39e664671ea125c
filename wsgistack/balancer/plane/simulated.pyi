network: object
failures: list[Exception]

def install(new: object) -> None: ...
