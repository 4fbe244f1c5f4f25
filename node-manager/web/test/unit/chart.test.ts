import assert from "node:assert/strict";
import { test } from "node:test";
import { axis, niceStep, timeTicks } from "../../src/chart/scale.js";
import { area, line, nearest, stretches, type Point } from "../../src/chart/shape.js";

test("steps are round numbers", () => {
  assert.deepEqual([0.3, 1, 1.2, 3, 7, 42, 600].map(niceStep), [0.5, 1, 2, 5, 10, 50, 1000]);
  for (const strange of [0, -1, Number.NaN]) assert.equal(niceStep(strange), 1);
});

test("an axis shows the whole range between round numbers", () => {
  assert.deepEqual(axis({ low: 0, high: 97 }, 4), { low: 0, high: 100, ticks: [0, 50, 100] });
  assert.deepEqual(axis({ low: -60, high: 90 }, 4, 50), { low: -100, high: 100, ticks: [-100, -50, 0, 50, 100] });
  assert.deepEqual(axis({ low: 0, high: 1 }, 4, 1).ticks, [0, 1]);
});

test("an axis of a single value has two ends", () => {
  const { low, high, ticks } = axis({ low: 5, high: 5 }, 4);
  assert.ok(low <= 5 && high > low && ticks.length >= 2);
});

test("time is marked at round local times", () => {
  assert.deepEqual(timeTicks(30, 390, 6, 0), [60, 120, 180, 240, 300, 360]);
  // Half an hour ahead of UTC.
  assert.deepEqual(timeTicks(0, 240, 4, 30), [30, 90, 150, 210]);
  assert.ok(timeTicks(0, 1440, 3, 0).length <= 4);
});

const points: Point[] = [[1, 10], [2, 20], [3, 30], [10, 5], [11, 5], [20, 7]];
const same = (value: number) => value;

test("a line has gaps where samples are missing", () => {
  assert.deepEqual(stretches(points).map((stretch) => stretch.length), [3, 2, 1]);
  assert.equal(line(points, same, same), "M1 10L2 20L3 30M10 5L11 5M19 7h2");
  assert.equal(line([], same, same), "");
});

test("areas are closed, and a point alone has none", () => {
  assert.equal(area(points.slice(0, 2), same, same, 100), "M1 10L2 20L2 100L1 100Z");
  assert.equal(area([[1, 1]], same, same, 100), "");
});

test("the nearest point is found, if there is one", () => {
  assert.deepEqual(nearest(points, 8), [10, 5]);
  assert.equal(nearest([], 8), null);
});
