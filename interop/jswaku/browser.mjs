// js-waku in a page of headless Chromium.

import { serve, tell } from "./lines.mjs";
import { chromium } from "playwright-core";
import { servePage } from "./page/serve.mjs";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

const site = await servePage();
const browser = await chromium.launch({ executablePath: CHROMIUM });
const page = await browser.newPage({ viewport: { width: 1200, height: 700 } });
page.on("console", (message) => console.error(message.text()));
page.on("pageerror", (error) => console.error(error));

let stopping = false;
browser.on("disconnected", () => stopping || fail("the browser is gone"));
page.on("crash", () => fail("the page crashed"));

await page.exposeFunction("tell", tell);
await page.goto(`${site.url}?host=${encodeURIComponent(`Chromium ${browser.version()}`)}`);

serve({
  ask: (question) => (question.op === "screenshot" ? screenshot(question) : ask(question)),
  async stop() {
    stopping = true;
    await page.evaluate(() => globalThis.peer.stop());
    await browser.close();
    await site.close();
  },
});

async function ask(question) {
  try {
    return await page.evaluate((it) => globalThis.peer.ask(it), question);
  } catch (error) {
    return { id: question.id, error: error.message };
  }
}

async function screenshot({ id, path }) {
  try {
    await page.screenshot({ path, fullPage: true });
    return { id, ok: {} };
  } catch (error) {
    return { id, error: error.message };
  }
}

function fail(why) {
  console.error(why);
  process.exit(1);
}
