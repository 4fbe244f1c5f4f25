// `npm run e2e:real`: the page in headless Chromium, with the real programs on the loopback address. Takes three minutes, for a
// host takes a sample each minute and waits two of them before it raises an alert.
//
//   BIN_DIR         where node-manager and stand-in-beacon are, the debug builds if it is not set
//   SCREENSHOTS     a directory for pictures, screenshots/ if it is not set
//   HISTORY         history.bin of a host that has measured for a while, for pictures whose charts are full
//   CHROMIUM        the browser, /usr/bin/chromium if it is not set

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout } from "node:timers/promises";
import { chartMoves, goTo, openBrowser, openHost, pairThroughPage, screenshot, watchPage } from "./page.mjs";
import { PATIENCE, endAll, logs } from "./real/program.mjs";
import { Stage, UP } from "./real/stage.mjs";

const root = resolve(import.meta.dirname, "../../..");
const { BIN_DIR, CARGO_TARGET_DIR, HISTORY, SCREENSHOTS } = process.env;
const binaries = BIN_DIR ?? join(resolve(root, CARGO_TARGET_DIR ?? "target"), "debug");
const pictures = SCREENSHOTS ?? join(root, "node-manager/web/screenshots");
/** How long a sample, and how long an alert may take: a minute and two of them, and some more. */
const A_MINUTE = { timeout: 90_000 };
const TWO_MINUTES = { timeout: 180_000 };

const directory = await mkdtemp(join(tmpdir(), "node-manager-real-"));
const stage = new Stage({ binaries, directory });
const begun = Date.now();
let browser = null;
let shown = null;

/** One step of the story, told with the time that it took. */
async function step(name, play) {
  const since = Date.now();
  try {
    const result = await play();
    console.log(`${((Date.now() - begun) / 1000).toFixed(0).padStart(4)} s  ${name} (${((Date.now() - since) / 1000).toFixed(1)} s)`);
    return result;
  } catch (error) {
    throw new Error(`step "${name}" failed`, { cause: error });
  }
}

const picture = (name) => screenshot(shown, join(pictures, `${name}.png`));

/** Opens the page, and looks after what it must never do. */
async function open(url, { failedRequests }) {
  const page = await browser.newPage({ viewport: { width: 1200, height: 800 }, locale: "en-GB", timezoneId: "UTC" });
  page.setDefaultTimeout(PATIENCE);
  const seen = await watchPage(page, url, { failedRequests });
  await page.goto(url);
  return { page, seen };
}

async function story() {
  let url = await step("the programs start", async () => {
    await stage.open(HISTORY);
    return stage.startApp();
  });
  browser = await openBrowser();
  const { page, seen } = await open(url, { failedRequests: false });
  shown = page;
  const other = await open(url, { failedRequests: true });

  await step("there is no host yet", async () => {
    await page.getByRole("heading", { name: "No host is paired yet" }).waitFor();
    await page.locator("[data-link=live]").waitFor();
  });

  const pairing = await step("a host is paired", async () => {
    let typed = null;
    const digits = async (code) => {
      // A reload loses nothing, and another tab shows the same.
      await page.reload();
      await goTo(other.page, "#/pair");
      for (const tab of [page, other.page]) {
        await tab.getByRole("img", { name: "The same code as a QR code" }).waitFor();
        assert.equal(await tab.locator("[data-code]").getAttribute("data-code"), code);
      }
      typed = await stage.typeCode(code);
      await other.page.getByLabel("Six digits on the host’s screen").waitFor();
      return typed.digits;
    };
    const { name, pairing } = await pairThroughPage(page, { timeout: PATIENCE, digits, shown: (step) => picture(`pair-${step}`) });
    assert.equal(name, "beacon-01");
    for (const tab of [page, other.page]) await tab.getByText("Both machines have saved it.").waitFor();
    await typed.done;
    return pairing;
  });
  const go = (tab) => goTo(page, `#/host/${pairing}${tab}`);

  await step("it is there, and tells how it is", async () => {
    await openHost(page, pairing, { timeout: PATIENCE });
    await page.locator(".page-head").getByText("Connected", { exact: true }).waitFor();
    const facts = page.locator("dl.facts");
    await facts.getByText("In sync").waitFor();
    await facts.getByText(/^\d+ ms$/).waitFor();
    await page.getByText("Nothing is wrong").waitFor();
    await page.getByText(/^http:\/\/127\.0\.0\.1:\d+$/).first().waitFor();
  });

  await step("who may only look has nothing to operate", async () => {
    await go("/services");
    await page.locator("[data-service=validator][data-state=running]").getByText("Pretends to validate").waitFor();
    await page.getByText("This computer may look").waitFor();
    assert.equal(await page.getByRole("button", { name: "Restart validator" }).count(), 0);
  });

  await step("with the grant a service is restarted, and its log shown", async () => {
    await stage.onHost("peers", "grant", "laptop", "operate");
    const card = page.locator("[data-service=validator]");
    const processOf = async () => /Process (\d+)/.exec(await card.innerText())?.[1];
    const before = await processOf();
    await page.getByRole("button", { name: "Refresh the services" }).click();
    await card.getByRole("button", { name: "Restart validator" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Restart", exact: true }).click();
    await until("the validator is another process", async () => {
      const now = await processOf();
      return now !== undefined && now !== before && (await card.getAttribute("data-state")) === "running";
    });
    await card.getByRole("button", { name: "Show the log of validator" }).click();
    const log = page.getByRole("region", { name: "Log of validator" });
    await log.waitFor();
    assert.equal((await log.innerText()).split("\n").filter((line) => line.endsWith(UP)).length, 2);
    await picture("services");
  });

  await step("what was done is listed", async () => {
    await go("/activity");
    for (const outcome of ["Begun", "Done"]) {
      await page.getByRole("row", { name: new RegExp(`POST /node-manager/v1/services/{name}/restart.*laptop.*${outcome}`, "s") }).waitFor();
    }
    await page.getByRole("row", { name: /GET \/eth\/v1\/node\/syncing.*Done/s }).first().waitFor();
    await picture("activity");
  });

  await step("it gets a name, and its own back", async () => {
    await go("/settings");
    await page.getByText("look at the node; start and stop services").waitFor();
    await page.getByLabel("What this host is called on this computer").fill("Attic");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("heading", { level: 1, name: "Attic" }).waitFor();
    await picture("settings");
    await page.getByRole("button", { name: "Use its own name" }).click();
    await page.getByRole("heading", { level: 1, name: "beacon-01" }).waitFor();
  });

  await step("everything fits on a phone", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    for (const hash of ["#/", "#/pair", ...["", "/alerts", "/services", "/activity", "/settings"].map((tab) => `#/host/${pairing}${tab}`)]) {
      await goTo(page, hash);
      await page.locator(".waiting, .bar").first().waitFor({ state: "detached" });
      const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(over <= 0, `${hash} is ${over} px too wide`);
      await picture(`phone-${hash.replace(pairing, "").replace(/\W+/g, "-").replace(/^-|-$/g, "") || "hosts"}`);
    }
    await page.setViewportSize({ width: 1200, height: 800 });
  });

  await step("a chart moves", async () => {
    await go("");
    const { before, after } = await chartMoves(page, A_MINUTE);
    assert.ok(after > before);
    await page.getByRole("radio", { name: "1 hour" }).check();
    for (const colorScheme of ["dark", "light"]) {
      await page.emulateMedia({ colorScheme });
      await picture(`page-host-${colorScheme}`);
    }
  });

  await step("an alert is raised, by itself", async () => {
    await go("/alerts");
    const alert = page.locator("[data-alert=service_down]");
    await alert.waitFor(TWO_MINUTES);
    assert.match(await alert.innerText(), /The service execution does not answer\./);
    await page.getByRole("heading", { name: "1 alert raised" }).waitFor();
    await picture("alerts");
    assert.match(await page.title(), /^\(1\) /);
    assert.deepEqual(seen(), []);
    assert.deepEqual(other.seen(), []);
  });

  await step("the host goes", async () => {
    await stage.host.stop();
    await page.locator(".page-head").getByText("Not connected").waitFor();
    await page.getByText("The host cannot be reached. These are the alerts").waitFor();
    await page.getByRole("heading", { name: "1 alert raised" }).waitFor();
    await stage.app.stop();
    await page.locator("[data-link=lost]").waitFor();
  });

  await step("another run has another address, and knows what the host wrote", async () => {
    const old = url;
    url = await stage.startApp();
    assert.equal(new URL(url).host, new URL(old).host);
    await page.getByRole("heading", { name: "This address is no longer good" }).waitFor();
    await page.close();
    await other.page.close();
    const again = await open(`${url}#/host/${pairing}/alerts`, { failedRequests: true });
    shown = again.page;
    await shown.getByText("The host cannot be reached. These are the alerts").waitFor();
    await shown.locator("[data-alert=service_down]").waitFor();
    await picture("alerts-written");
    await stage.startHost();
    await shown.locator(".page-head").getByText("Connected", { exact: true }).waitFor(A_MINUTE);
    await shown.locator("[data-alerts=written]").waitFor({ state: "detached" });
    assert.deepEqual(again.seen(), []);
  });

  await step("it is unpaired, on both sides", async () => {
    await goTo(shown, `#/host/${pairing}/settings`);
    await shown.getByRole("button", { name: "Unpair beacon-01" }).click();
    await shown.getByRole("dialog").getByRole("button", { name: "Unpair", exact: true }).click();
    await shown.getByRole("heading", { name: "No host is paired yet" }).waitFor();
    await until("the host knows of it", async () => (await stage.onHost("peers", "--json")).trim() === "[]");
  });
}

/** Waits for what cannot be waited for otherwise. */
async function until(what, condition) {
  for (let tries = 0; !(await condition()); tries += 1) {
    if (tries >= PATIENCE / 500) throw new Error(`this has not come about: ${what}`);
    await setTimeout(500);
  }
}

try {
  await story();
  console.log(`All is well. The pictures are in ${pictures}.`);
} catch (error) {
  process.exitCode = 1;
  if (shown !== null) await picture("failed").catch(() => {});
  console.error(error);
  console.error(`\nThe programs, and the last that they wrote:\n\n${logs()}`);
} finally {
  await browser?.close();
  await endAll();
  await rm(directory, { recursive: true, force: true });
}
