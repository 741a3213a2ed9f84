"""Download published weights: python scripts/download_weights.py --name Genesis_Chest_CT.pt --accept_licence True"""

import sys

from bundle_path import start
from models_genesis_bundle.weights.published.download import DownloadError, download_published, licence_summary


def download(
    name: str,
    output_dir: str = "models/published",
    accept_licence: bool | str = False,
    base_url: str | None = None,
    sha256: str | None = None,
) -> str:
    """Show the licence of a published weight file and, if it is accepted, download the file.

    Ends with exit code 1 when the licence is not accepted or the download fails. With the package huggingface_hub, the same
    command continues an interrupted download.

    Args:
        name: name of a file in docs/how-to/published_weights.md, such as Genesis_Chest_CT.pt.
        output_dir: folder for the file.
        accept_licence: true: you have read the licence and accept it.
        base_url: address of the file's folder on another server; by default the authors' address.
        sha256: hexadecimal digest that the file must have.
    """
    print(licence_summary(name), file=sys.stderr)
    if str(accept_licence).lower() != "true":
        sys.exit("Nothing was downloaded. When you accept these terms, repeat the command with --accept_licence True.")
    return str(download_published(name, output_dir, base_url, sha256))


if __name__ == "__main__":
    start(download, DownloadError)
