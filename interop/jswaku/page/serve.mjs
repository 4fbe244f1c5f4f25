import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));

/** Serves the page, as it was built, on loopback: `url` is where, `close` ends it. */
export async function servePage() {
  const files = new Map([
    ["/", { type: "text/html; charset=utf-8", body: await readFile(path("index.html")) }],
    ["/page.js", { type: "text/javascript; charset=utf-8", body: await readFile(path("../dist/page.js")) }],
  ]);
  const server = createServer(({ url }, response) => {
    const file = files.get(new URL(url, "http://localhost").pathname);
    response.writeHead(file ? 200 : 404, file && { "content-type": file.type }).end(file?.body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}
