// `npm run e2e`: the page in headless Chromium.
//
// Without more it plays against the mock. With PAGE_URL it pairs with a real host and sees a chart move:
//   PAGE_URL        the address that `node-manager app run --web` printed
//   DIGITS_COMMAND  a shell command that types the code in CODE on the host and prints the six digits; or
//   DIGITS_FILE     a file into which somebody writes the digits; the code is written beside it, to `<file>.code`; or
//   DIGITS          the digits themselves
//   SCREENSHOTS     a directory for pictures
//   CHROMIUM        the browser, /usr/bin/chromium if it is not set

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { watch } from "node:fs";
import { readFile, rename, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import { MockApp } from "./mock/app.mjs";
import { CLOCK_DRIFT, MockHost, SERVICE_DOWN } from "./mock/host.mjs";
import { chartMoves, goTo, openBrowser, openHost, pairThroughPage, screenshot, watchPage } from "./page.mjs";

const { PAGE_URL, SCREENSHOTS } = process.env;
const HOST = "a1b2c3d4e5f60718";
/** How long the mock, which answers at once, may take. */
const SOON = { timeout: 10_000 };

let browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser.close());

/** A picture, if pictures are wanted. */
async function picture(page, name) {
  if (SCREENSHOTS !== undefined) await screenshot(page, join(SCREENSHOTS, `${name}.png`));
}

describe("against the real program", { skip: PAGE_URL === undefined && "PAGE_URL is not set" }, () => {
  test("a host is paired, and its chart moves", async () => {
    const page = await browser.newPage();
    const seen = await watchPage(page, PAGE_URL, { failedRequests: true });
    await page.goto(PAGE_URL);
    const { pairing } = await pairThroughPage(page, { digits: askForDigits, shown: (step) => picture(page, `real-${step}`) });
    await openHost(page, pairing);
    const { before, after } = await chartMoves(page);
    assert.ok(after > before);
    await picture(page, "real-host");
    assert.deepEqual(seen(), []);
    await page.close();
  });
});

/** The digits of the real host, from whoever types the code in there. */
async function askForDigits(code) {
  const { DIGITS, DIGITS_COMMAND, DIGITS_FILE } = process.env;
  if (DIGITS !== undefined) return DIGITS;
  if (DIGITS_COMMAND !== undefined) {
    const { stdout } = await promisify(execFile)("/bin/sh", ["-c", DIGITS_COMMAND], { env: { ...process.env, CODE: code } });
    return stdout.trim();
  }
  assert.ok(DIGITS_FILE !== undefined, "set DIGITS_COMMAND, DIGITS_FILE or DIGITS");
  const changes = watch(dirname(DIGITS_FILE));
  try {
    await writeFile(`${DIGITS_FILE}.code.new`, code, { mode: 0o600 });
    await rename(`${DIGITS_FILE}.code.new`, `${DIGITS_FILE}.code`);
    return await new Promise((resolve, reject) => {
      const look = async () => {
        const text = await readFile(DIGITS_FILE, "utf8").catch(() => "");
        if (/^\s*\d{3}\s?\d{3}\s*$/.test(text)) resolve(text.trim());
      };
      changes.on("error", reject);
      changes.on("change", (_, file) => (file === null || file === basename(DIGITS_FILE)) && look());
      const late = () => reject(new Error(`nobody wrote digits to ${DIGITS_FILE}`));
      void setTimeout(120_000, null, { ref: false }).then(late);
      void look();
    });
  } finally {
    changes.close();
  }
}

describe("against the mock", { skip: PAGE_URL !== undefined && "PAGE_URL is set" }, () => {
  /** Plays `story` on a page of its own, with a program of its own, and looks that nothing went wrong on the way. */
  function story(name, options, play) {
    test(name, async () => {
      const { hosts = [new MockHost({ name: "beacon-01", pairing: HOST })], hash = "", allowed = [], clock = false, ...context } = options;
      const app = await new MockApp({ hosts, newHost: (peer) => new MockHost(peer) }).start();
      const page = await browser.newPage({ viewport: { width: 1200, height: 800 }, locale: "en-GB", ...context });
      page.setDefaultTimeout(SOON.timeout);
      const seen = await watchPage(page, app.url);
      await countShifts(page);
      if (clock) await page.clock.install();
      try {
        await page.goto(app.url + hash);
        await play(page, app);
        assert.deepEqual(seen().filter((line) => !allowed.some((pattern) => pattern.test(line))), []);
      } finally {
        await page.close();
        await app.stop();
      }
    });
  }

  story("a first host is paired", { hosts: [] }, async (page, app) => {
    await page.getByRole("heading", { name: "No host is paired yet" }).waitFor();
    await picture(page, "empty");
    const shown = (step) => picture(page, `pair-${step}`);
    const { code, name } = await pairThroughPage(page, { ...SOON, shown, digits: (code) => app.hostTypes(code) });
    assert.match(code, /^4821-/);
    assert.equal(name, "beacon-01");
    await page.getByText("Both machines have saved it.").waitFor();
    await page.getByRole("link", { name: "Open beacon-01" }).click();
    await page.locator("[data-chart=peers] .line").waitFor({ state: "attached" });
    // It is not told twice.
    await goTo(page, "#/pair");
    await page.getByRole("button", { name: "Make a code" }).waitFor();
  });

  const refusals = [/status of 403/];
  story("wrong digits end the pairing, and the next one starts over", { hosts: [], allowed: refusals }, async (page, app) => {
    const wrong = async (code) => {
      await app.hostTypes(code);
      return "111111";
    };
    await assert.rejects(pairThroughPage(page, { ...SOON, digits: wrong }), /six digits differ/);
    await picture(page, "pair-failed");
    assert.equal(app.hosts.length, 0);
    await page.getByRole("button", { name: "Make a fresh code" }).click();
    await page.locator("[data-code]").waitFor();
  });

  story("digits that are none are not sent", { hosts: [] }, async (page, app) => {
    const digits = async (code) => {
      await app.hostTypes(code);
      const field = page.getByLabel("Six digits on the host’s screen");
      await field.fill("1234");
      await field.press("Enter");
      await page.getByText("These must be six digits.").waitFor();
      assert.ok(!app.requests.includes("POST api/digits"));
      // The page shows where it was after a reload, too.
      await page.reload();
      return " 570 605 ";
    };
    await pairThroughPage(page, { ...SOON, digits });
  });

  story("a pairing is cancelled", { hosts: [], hash: "#/pair" }, async (page, app) => {
    await page.getByRole("button", { name: "Make a code" }).click();
    await page.getByRole("img", { name: "The same code as a QR code" }).waitFor();
    await page.getByRole("link", { name: "Your hosts" }).click();
    await page.getByText("A pairing is under way.").waitFor();
    await page.getByRole("link", { name: "Show", exact: true }).click();
    await page.getByRole("button", { name: "Cancel pairing" }).click();
    await page.getByRole("button", { name: "Make a code" }).waitFor();
    assert.equal(app.pairing, null);
    assert.equal(await page.locator("[data-result]").count(), 0);
  });

  const two = () => [
    new MockHost({ name: "beacon-01", pairing: HOST, alerts: [SERVICE_DOWN] }),
    new MockHost({ name: "attic", pairing: "0f1e2d3c4b5a6978", up: false }),
  ];

  story("the list tells how the hosts are, and follows", { hosts: two() }, async (page, app) => {
    const card = page.locator("[data-host=beacon-01]");
    await card.getByText("In sync").waitFor();
    await card.getByText("1 alert").waitFor();
    await card.getByText("Round trip 184 ms").waitFor();
    await page.locator("[data-host=attic]").getByText("Last seen 3 hours ago").waitFor();
    await page.locator("[data-host=attic]").getByText("Not connected").waitFor();
    assert.match(await page.title(), /^\(1\) /);
    await picture(page, "hosts");
    // What nobody asked for is not asked of a host that is not there.
    assert.ok(!app.requests.some((request) => request.includes("0f1e2d3c4b5a6978/http")));
    app.sessionDown(app.hosts[0]);
    await card.getByText("Not connected").waitFor();
    app.sessionUp(app.hosts[0]);
    await card.getByText("Connected", { exact: true }).waitFor();
  });

  story("the local address is copied", { permissions: ["clipboard-read", "clipboard-write"] }, async (page) => {
    await page.getByRole("button", { name: "Copy the local address of beacon-01" }).click();
    await page.getByText("Copied").first().waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "http://127.0.0.1:17001");
  });

  story("charts move with each sample, and can be read with keys", {}, async (page, app) => {
    await openHost(page, HOST, SOON);
    await picture(page, "host");
    const [host] = app.hosts;
    for (const chart of ["peers", "sync_distance", "machine"]) {
      // Minutes go by faster here.
      const minutes = setInterval(() => host.tick(), 100);
      try {
        const { before, after } = await chartMoves(page, { ...SOON, chart });
        assert.ok(after > before);
      } finally {
        clearInterval(minutes);
      }
    }
    for (const [choice, title] of [["Memory", "Memory in use"], ["Disk", "Free disk space"], ["Clock", "Clock offset"]]) {
      await page.getByRole("radio", { name: choice }).check();
      await page.locator("[data-chart=machine]").getByText(title).waitFor();
      assert.notEqual(await page.locator("[data-chart=machine] .line").getAttribute("d"), "");
    }
    const plot = page.getByRole("slider", { name: "Peers over time" });
    await plot.focus();
    const newest = await plot.getAttribute("aria-valuetext");
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("PageDown");
    assert.match(await plot.getAttribute("aria-valuetext"), /^\d\d?:\d\d: \d+ peers?$/);
    assert.notEqual(await plot.getAttribute("aria-valuetext"), newest);
    await page.keyboard.press("End");
    assert.equal(await plot.getAttribute("aria-valuetext"), newest);
  });

  story("alerts are shown, raised and cleared", { hosts: two() }, async (page, app) => {
    await openHost(page, HOST, SOON);
    await page.getByRole("link", { name: /Service down: execution/ }).click();
    await page.getByRole("heading", { name: "1 alert raised" }).waitFor();
    await page.getByText("Look at it on the host:").waitFor();
    const [host] = app.hosts;
    await until(() => host.listeners.size > 0);
    host.raise(CLOCK_DRIFT);
    await page.getByRole("heading", { name: "2 alerts raised" }).waitFor();
    await page.locator("[data-alert=clock_drift]").getByText("chronyc tracking").waitFor();
    await picture(page, "alerts");
    host.clear("clock_drift");
    await page.getByRole("heading", { name: "1 alert raised" }).waitFor();
    assert.equal(await page.locator(".timeline li").count(), 5);
  });

  story("services are stopped and started, with a question before what hurts", {}, async (page, app) => {
    await goTo(page, `#/host/${HOST}/services`);
    const card = page.locator("[data-service=validator]");
    const orders = () => app.requests.filter((request) => request.startsWith("POST"));
    await card.getByRole("button", { name: "Stop validator" }).click();
    await page.getByRole("dialog", { name: "Stop validator?" }).waitFor();
    await picture(page, "confirm");
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    assert.deepEqual(orders(), []);
    await card.getByRole("button", { name: "Stop validator" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Stop", exact: true }).click();
    await card.getByText("Stopping").waitFor();
    // The page looks again by itself.
    await card.getByText("Stopped", { exact: true }).waitFor();
    await card.getByRole("button", { name: "Start validator" }).click();
    await card.getByText("Running", { exact: true }).waitFor();
    const target = `POST api/hosts/${HOST}/http/node-manager/v1/services/validator`;
    assert.deepEqual(orders(), [`${target}/stop`, `${target}/start`]);
    await card.getByRole("button", { name: "Show the log of validator" }).click();
    const log = page.getByRole("region", { name: "Log of validator" });
    await log.waitFor();
    const text = await log.innerText();
    assert.match(text, /NTC Slot end topics="validator"/);
    assert.ok(!text.includes("\u001b"));
    assert.ok(await log.evaluate((log) => log.scrollTop + log.clientHeight >= log.scrollHeight - 1), "the end is shown");
    await picture(page, "services");
  });

  const looksOnly = [new MockHost({ name: "beacon-01", pairing: HOST, grants: ["monitor"] })];
  story("who may only look has no buttons to operate", { hosts: looksOnly, hash: `#/host/${HOST}/services` }, async (page) => {
    await page.getByText("This computer may look").waitFor();
    await page.locator("[data-service=beacon]").waitFor();
    assert.equal(await page.getByRole("button", { name: /^(Start|Stop|Restart|Show the log)/ }).count(), 0);
  });

  story("what was asked of the host is listed", { hash: `#/host/${HOST}/activity` }, async (page) => {
    await page.getByRole("row", { name: /keystores.*Refused.*Needs keys/s }).waitFor();
    await page.getByRole("row", { name: /restart.*Begun/s }).waitFor();
    assert.equal(await page.getByRole("row").count(), 47);
    await picture(page, "activity");
  });

  story("a host gets a name, and its own back", { hash: `#/host/${HOST}/settings` }, async (page) => {
    const field = page.getByLabel("What this host is called on this computer");
    await field.fill("Cellar <b>");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("heading", { level: 1, name: "Cellar <b>" }).waitFor();
    await picture(page, "settings");
    await page.getByRole("button", { name: "Use its own name" }).click();
    await page.getByRole("heading", { level: 1, name: "beacon-01" }).waitFor();
  });

  story("a host is unpaired, after a question", { hash: `#/host/${HOST}/settings` }, async (page, app) => {
    await page.getByRole("button", { name: "Unpair beacon-01" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    assert.equal(app.hosts.length, 1);
    await page.getByRole("button", { name: "Unpair beacon-01" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Unpair", exact: true }).click();
    await page.getByRole("heading", { name: "No host is paired yet" }).waitFor();
    assert.equal(app.hosts.length, 0);
  });

  const failing = () => {
    const host = new MockHost({ name: "beacon-01", pairing: HOST });
    host.failures.set("node-manager/v1/history", [502, { message: "no answer came in time", hint: "try again" }, "timeout"]);
    host.failures.set("node-manager/v1/services", [404, { code: 404, message: "nothing here" }]);
    host.failures.set("eth/v1/node/syncing", [200, "<html>"]);
    return [host];
  };
  story("what a host does not answer is said, and asked again", { hosts: failing(), allowed: [/status of (404|502)/] }, async (page, app) => {
    await goTo(page, `#/host/${HOST}`);
    await page.getByText("No answer came in time.").waitFor();
    await page.getByText("The answer makes no sense to this page.").waitFor();
    await picture(page, "failed-answer");
    app.hosts[0].failures.clear();
    await page.getByRole("button", { name: "Try again" }).click();
    await page.locator("[data-chart=peers] .line").waitFor({ state: "attached" });
    app.hosts[0].failures.set("node-manager/v1/services", [404, { code: 404, message: "nothing here" }]);
    await page.getByRole("link", { name: "Services" }).click();
    await page.getByText("This host does not offer this.").waitFor();
  });

  const gone = [/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/];
  story("the page comes back when the program does", { allowed: gone }, async (page, app) => {
    await page.locator("[data-link=live]").waitFor();
    await app.stop();
    await page.locator("[data-link=lost]").waitFor();
    await page.getByText("The node manager on this computer does not answer.").waitFor();
    await picture(page, "reconnecting");
    app.hosts[0].name = "beacon-02";
    await app.start();
    await page.locator("[data-link=live]").waitFor({ timeout: 30_000 });
    await page.getByRole("link", { name: "beacon-02" }).waitFor();
  });

  story("an address that is no longer good is said to be so", { allowed: [/status of 404/, ...gone] }, async (page, app) => {
    await page.locator("[data-link=live]").waitFor();
    app.token = "another";
    await app.stop();
    await app.start();
    await page.getByRole("heading", { name: "This address is no longer good" }).waitFor({ timeout: 30_000 });
    await picture(page, "old-address");
  });

  story("a page that nobody sees asks nothing", { clock: true }, async (page, app) => {
    await openHost(page, HOST, SOON);
    const [host] = app.hosts;
    await until(() => host.listeners.size > 0);
    await hide(page, true);
    await until(() => host.listeners.size === 0);
    const count = app.requests.length;
    await page.clock.fastForward("30:00");
    await page.clock.runFor(20_000);
    assert.deepEqual(app.requests.slice(count), []);
    await hide(page, false);
    await until(() => host.listeners.size === 1);
    // Seen again, it takes up what has become old.
    await until(() => app.requests.slice(count).some((request) => request.endsWith("/history")));
  });

  const PAGES = ["#/", "#/pair", ...["", "/alerts", "/services", "/activity", "/settings"].map((tab) => `#/host/${HOST}${tab}`)];

  for (const [width, colorScheme] of [[360, "dark"], [1200, "dark"], [360, "light"]]) {
    story(`everything fits at ${width} px, ${colorScheme}`, { viewport: { width, height: 740 }, colorScheme, hosts: two() }, async (page, app) => {
      const paper = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
      assert.equal(Math.max(...paper) < 80, colorScheme === "dark");
      const fits = async (name) => {
        const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.ok(over <= 0, `${name} is ${over} px too wide`);
        await picture(page, `${name.replace(/\W+/g, "-")}-${width}-${colorScheme}`);
      };
      for (const hash of PAGES) {
        await goTo(page, hash);
        await page.locator(".waiting, .bar").first().waitFor({ state: "detached" });
        await fits(hash === "#/" ? "hosts" : hash.replace(`#/host/${HOST}`, "host").replace("#/", ""));
      }
      await goTo(page, `#/host/${HOST}/services`);
      await page.getByRole("button", { name: "Show the log of beacon" }).click();
      await page.getByRole("region", { name: "Log of beacon" }).waitFor();
      await fits("log");
      await pairThroughPage(page, {
        ...SOON,
        digits: (code) => app.hostTypes(code, { name: "a-name-that-is-so-long-that-nothing-can-be-beside-it-in-a-row" }),
        shown: (step) => fits(`pairing ${step}`),
      });
    });
  }

  story("nothing jumps while a page fills", { hosts: two() }, async (page) => {
    await page.locator("[data-host=beacon-01]").getByText("In sync").waitFor();
    assert.ok((await page.evaluate(() => globalThis.shifts)) < 0.02, "the list jumps");
    await page.goto(page.url().replace(/#.*|$/, `#/host/${HOST}`));
    await page.reload();
    await page.locator("[data-chart=machine] .line").waitFor({ state: "attached" });
    await page.getByText("Service down: execution").waitFor();
    assert.ok((await page.evaluate(() => globalThis.shifts)) < 0.02, "the host's page jumps");
  });

  story("keys alone lead everywhere, and the focus is where the page is", {}, async (page) => {
    const link = page.locator("main").getByRole("link", { name: "beacon-01" });
    await link.waitFor();
    for (let presses = 0; presses < 20 && !(await link.evaluate((link) => link === document.activeElement)); presses += 1) {
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "beacon-01" }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1");
    const nameless = await page.evaluate(() =>
      [...document.querySelectorAll("button, a, input")]
        .filter((element) => !(element.getAttribute("aria-label") ?? element.textContent + (element.labels?.[0]?.textContent ?? "")).trim())
        .map((element) => element.outerHTML),
    );
    assert.deepEqual(nameless, []);
  });
});

/** Sums up how much of the page jumps, as browsers measure it, in `shifts`. */
function countShifts(page) {
  return page.addInitScript(() => {
    globalThis.shifts = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) globalThis.shifts += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
  });
}

/** Waits for what the page brings about at the mock. */
async function until(condition) {
  for (let tries = 0; !condition(); tries += 1) {
    assert.ok(tries < 500, `this has not come about: ${condition}`);
    await setTimeout(20);
  }
}

/** As if another tab were in front. */
function hide(page, hidden) {
  return page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
}
