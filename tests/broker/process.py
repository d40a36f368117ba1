"""A broker as a process of its own, whose judge believes simple quotes: ``python -m tests.broker.process DIRECTORY``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from casemate.broker.home import Home
from casemate.broker.serve import Broker, Settings
from tests.broker.enclaves import LOCAL, simple_judge


async def main(directory: Path) -> None:
    home = Home(directory)
    broker = Broker(home, home.database_url, home.master_key(), simple_judge, Settings(LOCAL, LOCAL))
    await broker.run(lambda addresses: print(addresses["enclaves"], flush=True), asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
