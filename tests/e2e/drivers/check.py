"""What every programme in Python is written with: each thing that it tries gives a line `== label` and what came of it."""


def check(label):
    """Runs the function below at once and prints what it gives, or how it failed."""

    def now(function):
        try:
            value = repr(function())
        except Exception as error:
            value = failure(error)
        print(f"== {label}\n{value}", flush=True)

    return now


def check_async(label):
    """The same for a coroutine: gives one that is to be awaited."""

    def wrap(function):
        async def now(*arguments):
            try:
                value = repr(await function(*arguments))
            except Exception as error:
                value = failure(error)
            print(f"== {label}\n{value}", flush=True)

        return now

    return wrap


def failure(error):
    """Kind, SQLSTATE and the first line of the message, without what an address or a key makes different."""
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "-"
    text = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__} {state} {text[0]}"
