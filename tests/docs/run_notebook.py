"""Runs a notebook in its own folder with the kernel that JUPYTER_PATH names, and prints it with what came out."""

import json
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

path = Path(sys.argv[1])
notebook = nbformat.read(path, as_version=4)
nbformat.validate(notebook)
NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(path.parent)}}).execute()
print(json.dumps([cell for cell in notebook.cells if cell.cell_type == "code"]))
