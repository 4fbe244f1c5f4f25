// What a person does with the page, for tests against the mock and against the real program.
// `page` is a page of playwright-core whose address is that of the program, with its token.

import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { chromium } from "playwright-core";

/** Opens a browser. CHROMIUM names it. */
export function openBrowser() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium" });
}

/**
 * Watches what a page must never do. To be called before the page is opened. The returned function gives what was
 * seen, one thing a line, and starts anew: errors on the console, requests to anybody else, and breaches of the policy
 * for content. `failedRequests` leaves out the browser's lines about answers with a status of 400 or more.
 */
export async function watchPage(page, url, { failedRequests = false } = {}) {
  const base = new URL(".", url).href;
  const seen = [];
  page.on("console", (message) => {
    const isFailedRequest = message.text().startsWith("Failed to load resource");
    if (["error", "warning"].includes(message.type()) && !(failedRequests && isFailedRequest)) {
      seen.push(`${message.type()}: ${message.text()} ${message.location().url}`);
    }
  });
  page.on("pageerror", (error) => seen.push(`error: ${error}`));
  page.on("crash", () => seen.push("the page crashed"));
  page.on("request", (request) => {
    if (!request.url().startsWith(base) && !request.url().startsWith("data:")) seen.push(`request: ${request.url()}`);
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  return () => seen.splice(0);
}

/** Takes a picture of the whole page. */
export async function screenshot(page, path) {
  await mkdir(dirname(path), { recursive: true });
  await page.screenshot({ path, fullPage: true, animations: "disabled" });
}

/**
 * Pairs with a host. `digits` is given the code as soon as it is shown, has it typed in on the host, and gives back the
 * six digits that the host shows. Ends when the page says that the pairing stands, with the code, the host's name, and
 * the pairing's.
 * `timeout` is in milliseconds, for each step. `shown` is called with the name of each step that can be seen.
 */
export async function pairThroughPage(page, { digits, timeout = 120_000, shown = async () => {} }) {
  await goTo(page, "#/pair");
  await page.getByRole("button", { name: "Make a code", exact: true }).click({ timeout });
  const element = page.locator("[data-code]");
  await element.waitFor({ timeout });
  const code = await element.getAttribute("data-code");
  await shown("code");
  const typed = await digits(code);
  const field = page.getByLabel("Six digits on the host’s screen");
  await field.waitFor({ timeout });
  await shown("digits");
  await field.fill(typed);
  await page.getByRole("button", { name: "Compare", exact: true }).click();
  const result = page.locator("[data-result]");
  await result.waitFor({ timeout });
  if ((await result.getAttribute("data-result")) !== "paired") {
    throw new Error(`the pairing failed: ${await result.innerText()}`);
  }
  await shown("paired");
  const name = (await result.locator("h2").innerText()).replace(/ is paired$/, "");
  const href = await result.getByRole("link", { name: `Open ${name}` }).getAttribute("href");
  return { code, name, pairing: href.split("/").at(-1) };
}

/** Opens a host from the list, by its pairing, and waits for its charts. */
export async function openHost(page, pairing, { timeout = 120_000 } = {}) {
  await goTo(page, "#/");
  await page.locator(`main h2 a[href="#/host/${pairing}"]`).click({ timeout });
  await page.locator("[data-chart=peers] .line").waitFor({ timeout, state: "attached" });
}

/**
 * Waits until a sample comes by itself and the charts of the open host move. Gives back the minutes at the right end,
 * before and after. `timeout` is in milliseconds: a real host takes a sample each minute.
 */
export async function chartMoves(page, { chart = "peers", timeout = 180_000 } = {}) {
  const look = (name) => {
    const figure = document.querySelector(`[data-chart="${name}"]`);
    return { newest: figure?.dataset.newest ?? "", line: figure?.querySelector(".line")?.getAttribute("d") ?? "" };
  };
  await page.locator(`[data-chart="${chart}"] .line`).waitFor({ timeout, state: "attached" });
  const before = await page.evaluate(look, chart);
  await page.waitForFunction(
    ({ chart, before }) => {
      const figure = document.querySelector(`[data-chart="${chart}"]`);
      const newest = figure?.dataset.newest ?? "";
      return Number(newest) > Number(before.newest) && figure.querySelector(".line").getAttribute("d") !== before.line;
    },
    { chart, before },
    { timeout },
  );
  const after = await page.evaluate(look, chart);
  return { before: Number(before.newest), after: Number(after.newest) };
}

/** Goes to another part of the page as a link would, without loading it anew. */
export async function goTo(page, hash) {
  await page.evaluate((hash) => {
    location.hash = hash;
  }, hash);
}
