import assert from "node:assert/strict";
import { test } from "node:test";
import * as format from "../../src/format.js";

test("numbers have the unit that fits them", () => {
  assert.equal(format.counted(1, "peer"), "1 peer");
  assert.equal(format.counted(0, "peer"), "0 peers");
  assert.equal(format.counted(12_345, "slot"), "12,345 slots");
  assert.equal(format.mebibytes(850), "850 MiB");
  assert.equal(format.mebibytes(12_595), "12.3 GiB");
  assert.equal(format.mebibytes(412_000), "402 GiB");
  assert.equal(format.mebibytes(2_000_000), "1.9 TiB");
  assert.equal(format.offset(0), "0 ms");
  assert.equal(format.offset(250), "+250 ms");
  assert.equal(format.offset(-1500), "−1.5 s");
  assert.equal(format.roundTrip(0.2), "1 ms");
  assert.equal(format.roundTrip(184.2), "184 ms");
  assert.equal(format.roundTrip(1449), "1.4 s");
});

test("spans are told in the largest unit that says enough", () => {
  const spans = [0, 1, 59.9, 60, 3599, 3600, 47 * 3600, 48 * 3600].map(format.span);
  assert.deepEqual(spans, ["0 seconds", "1 second", "59 seconds", "1 minute", "59 minutes", "1 hour", "47 hours", "2 days"]);
  assert.equal(format.ago(-30), "just now");
  assert.equal(format.ago(200), "3 minutes ago");
});

test("a countdown ends at nothing and never goes below", () => {
  assert.equal(format.countdown(545_000), "9:05");
  assert.equal(format.countdown(400), "0:01");
  assert.equal(format.countdown(-5000), "0:00");
  assert.equal(format.spokenCountdown(545_000), "10 minutes left.");
  assert.equal(format.spokenCountdown(61_000), "2 minutes left.");
  assert.equal(format.spokenCountdown(60_000), "Less than a minute left.");
  assert.equal(format.spokenCountdown(0), "The code has expired.");
});

test("codes and digits are taken however they are spaced", () => {
  assert.deepEqual(format.groups("4821-9037-5562-1087-3315-42"), ["4821", "9037", "5562", "1087", "3315", "42"]);
  assert.deepEqual(format.groups(""), []);
  assert.equal(format.sixDigits(" 570 605 "), "570605");
  assert.equal(format.sixDigits("570-605"), "570605");
  for (const wrong of ["", "57060", "5706055", "57060a", "５７０６０５"]) assert.equal(format.sixDigits(wrong), null, wrong);
  assert.equal(format.digitPairs("570605"), "570 605");
});

test("a moment names its day unless it is today", () => {
  const noon = new Date(2026, 2, 14, 12, 0).getTime();
  assert.equal(format.moment(noon, noon + 3_600_000, "en-GB"), "12:00");
  assert.equal(format.moment(noon, noon + 86_400_000, "en-GB"), "14 Mar, 12:00");
});

test("what terminals do with a line is left out of it", () => {
  assert.equal(format.plain("\u001b[1;32mNTC\u001b[0m Slot end\u0007"), "NTC Slot end");
  assert.equal(format.plain("tab\tstays"), "tab\tstays");
});
