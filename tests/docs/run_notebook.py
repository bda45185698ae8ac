"""Runs a notebook in its own folder with the kernel that JUPYTER_PATH names, and prints it with what came out."""

import json
import sys
from contextlib import suppress
from pathlib import Path
from queue import Empty

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete

# Deno's kernel may tell that it is idle before it tells a cell's result, at most so long before (seconds).
LATE = 0.5


class LateReader(NotebookClient):
    """Takes what comes for a cell after the kernel has said that it is done with it, as Jupyter's own pages do."""

    async def _async_poll_output_msg(self, parent_msg_id, cell, cell_index):
        await super()._async_poll_output_msg(parent_msg_id, cell, cell_index)
        with suppress(Empty):
            while True:
                message = await self.kc.iopub_channel.get_msg(timeout=LATE)
                if message["parent_header"].get("msg_id") == parent_msg_id:
                    with suppress(CellExecutionComplete):
                        self.process_message(message, cell, cell_index)


path = Path(sys.argv[1])
notebook = nbformat.read(path, as_version=4)
nbformat.validate(notebook)
LateReader(notebook, timeout=240, resources={"metadata": {"path": str(path.parent)}}).execute()
print(json.dumps([cell for cell in notebook.cells if cell.cell_type == "code"]))
