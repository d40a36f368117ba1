"""An asyncio echo server with 200 connections at once."""

import asyncio


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def client(port: int, number: int) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    message = f"message {number} ".encode() * 500
    writer.write(message)
    await writer.drain()
    writer.write_eof()
    back = await reader.read()
    writer.close()
    return back == message


async def main() -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=300)
    port = server.sockets[0].getsockname()[1]
    done = await asyncio.gather(*(client(port, number) for number in range(200)))
    print(len(done), all(done))
    server.close()


asyncio.run(main())
