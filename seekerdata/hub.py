"""Hub: Hugging Face's hub: whether it is to be had, and in one line what it refuses. No token reaches any text."""

from collections.abc import Iterator
from contextlib import contextmanager

from seekerdata.errors import SeekerError


def reach_hub(name: str, hint: str) -> None:
    """Return if the hub answers; its own library goes on trying for half a minute, this asks once.

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


@contextmanager
def reaching(id: str, revision: str, unreachable: str) -> Iterator[None]:
    """Around calls to the hub about a dataset: what only the user can mend is one line.

    Args:
        id: the dataset's name on the hub.
        revision: the branch, tag or commit that is asked for.
        unreachable: what can be done while the hub cannot be reached; ends that error.
    """
    from huggingface_hub import errors

    page = f"https://huggingface.co/datasets/{id}"
    try:
        yield
    except errors.GatedRepoError:
        raise SeekerError(
            f"{id}: its terms must be accepted at {page}, and a read token of that account given as HF_TOKEN"
        ) from None
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError):
        token = "or HF_TOKEN is no token that may read it"
        raise SeekerError(f"{id}: the Hub has no such dataset at {revision}, {token} ({page})") from None
    except errors.HfHubHTTPError as error:
        raise SeekerError(f"{id}: {_refused(error)}") from None
    except (connection_error(), errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
        raise SeekerError(f"{id}: the Hub cannot be reached ({type(error).__name__}); {unreachable}") from None
    except OSError as error:
        if error.errno is not None:
            raise
        # Without a number it is the Hub's own library: a file came shorter than announced.
        raise SeekerError(f"{id}: a file was cut off; run the same command again to go on") from None


def connection_error() -> type[Exception]:
    """The error class of the HTTP library that the hub's library uses, of which a lost connection is one too."""
    from huggingface_hub import errors

    return next(b for b in errors.HfHubHTTPError.__bases__ if issubclass(b, Exception) and b is not OSError)


def status_of(error: BaseException) -> int | None:
    """The status that the hub answered with; None if it did not answer."""
    return getattr(getattr(error, "response", None), "status_code", None)


def without_token(text: str) -> str:
    """A text of others in which the user's token may stand, without it."""
    from huggingface_hub import get_token

    token = get_token()
    return text.replace(token, "<token>") if token else text


def _refused(error: Exception) -> str:
    """What a status means to the user; the hub's own words where it has some."""
    status, said = status_of(error), getattr(error, "server_message", None) or ""
    if status == 401:
        return "the Hub does not know the token; `hf auth login`, or HF_TOKEN, gives another"
    words = " ".join(without_token(said).split())[:200]
    if status == 403:
        return f"the token may not do this ({words or 'no reason given'}); it must be one that may write there"
    again = "run the same command again to go on"
    return f"the Hub answered {status or 'nothing'}{f' ({words})' if words else ''}; {again}"


def is_place(name: str) -> bool:
    """Whether this can only be a folder, and no name on the hub."""
    return name.startswith(("/", ".", "~"))
