"""Hub: whether Hugging Face's hub is to be had. Asked once; its own library goes on trying for half a minute."""

from seekerdata.errors import SeekerError


def reach_hub(name: str, hint: str) -> None:
    """Return if the hub answers.

    Args:
        name: what is wanted of it, as a user wrote it; opens the error.
        hint: how else it is had; ends the error.

    Raises:
        SeekerError: it does not answer, or `HF_HUB_OFFLINE` is set.
    """
    from ssl import SSLError
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    from huggingface_hub import constants

    try:
        if constants.HF_HUB_OFFLINE:
            raise OSError("HF_HUB_OFFLINE is set")
        urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=constants.HF_HUB_ETAG_TIMEOUT).close()
    except HTTPError:
        return  # it answers
    except OSError as error:
        cause = error.reason if isinstance(error, URLError) else error
        if isinstance(cause, SSLError):
            return  # it is there; the library may know other certificates
        text = f"{name} is not downloaded, or not whole, and {constants.ENDPOINT} cannot be reached ({cause})"
        raise SeekerError(f"{text}; {hint}") from None


def is_place(name: str) -> bool:
    """Whether this can only be a folder, and no name on the hub."""
    return name.startswith(("/", ".", "~"))
