// Where the lines of a chart's grid are.

export interface Range {
  low: number;
  high: number;
}

/** Steps that people count in: 1, 2 or 5 times a power of ten, the first of at least `least`. */
export function niceStep(least: number): number {
  if (!(least > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].find((times) => times * power >= least * (1 - 1e-9)) ?? 10;
  return step * power;
}

export interface Axis extends Range {
  ticks: number[];
}

/**
 * An axis that shows all of `range`, with about `count` steps between round numbers.
 * `leastStep` keeps whole things whole: half a peer is none.
 */
export function axis(range: Range, count: number, leastStep = 0): Axis {
  const step = Math.max(niceStep((range.high - range.low) / count), leastStep);
  const low = Math.floor(range.low / step + 1e-9) * step;
  const high = Math.max(Math.ceil(range.high / step - 1e-9) * step, low + step);
  const ticks: number[] = [];
  for (let at = 0; low + at * step <= high + step * 1e-6; at += 1) ticks.push(low + at * step);
  return { low, high, ticks };
}

/** Steps of a time axis, in minutes. */
const TIME_STEPS = [5, 10, 15, 30, 60, 120, 180, 240, 360, 720];

/**
 * Round local times between two minutes, at most `most` of them.
 * `offset` is how far local time is ahead of UTC, in minutes.
 */
export function timeTicks(from: number, to: number, most: number, offset: number): number[] {
  const step = TIME_STEPS.find((step) => (to - from) / step <= most) ?? 1440;
  const ticks: number[] = [];
  for (let at = Math.ceil((from + offset) / step) * step - offset; at <= to; at += step) ticks.push(at);
  return ticks;
}
