"""Files that are written atomically."""

from models_genesis_bundle.files.digest import file_sha256
from models_genesis_bundle.files.file_name import printable
from models_genesis_bundle.files.json_file import write_json
from models_genesis_bundle.files.table_file import write_table
from models_genesis_bundle.files.whole_file import remove_unfinished, whole_file

RUN_MARKER = ".models_genesis_run"  # a file in every folder of results: such a folder is not searched for scans

__all__ = ["RUN_MARKER", "file_sha256", "printable", "remove_unfinished", "whole_file", "write_json", "write_table"]
