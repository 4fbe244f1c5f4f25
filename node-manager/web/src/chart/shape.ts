// Points to lines.

/** A minute, and what was measured in it. */
export type Point = readonly [minute: number, value: number];

/** Longest time without a sample over which a line is drawn, in minutes. */
const MAX_GAP = 3;

/** Points in stretches without gaps, oldest first. */
export function stretches(points: readonly Point[]): Point[][] {
  const result: Point[][] = [];
  let before: Point | undefined;
  for (const point of points) {
    const last = result.at(-1);
    if (last !== undefined && before !== undefined && point[0] - before[0] <= MAX_GAP) last.push(point);
    else result.push([point]);
    before = point;
  }
  return result;
}

const near = (value: number): string => String(Math.round(value * 10) / 10);

/** A line through points. A point alone becomes a dash that can be seen. */
export function line(points: readonly Point[], x: (minute: number) => number, y: (value: number) => number): string {
  const parts = stretches(points).map((stretch) => {
    const [first] = stretch;
    if (stretch.length === 1 && first !== undefined) return `M${near(x(first[0]) - 1)} ${near(y(first[1]))}h2`;
    return stretch.map(([minute, value], at) => `${at === 0 ? "M" : "L"}${near(x(minute))} ${near(y(value))}`).join("");
  });
  return parts.join("");
}

/** The area between the line and `base`. */
export function area(
  points: readonly Point[],
  x: (minute: number) => number,
  y: (value: number) => number,
  base: number,
): string {
  const parts = stretches(points).map((stretch) => {
    const [first, last] = [stretch[0], stretch.at(-1)];
    if (first === undefined || last === undefined || stretch.length === 1) return "";
    return `${line(stretch, x, y)}L${near(x(last[0]))} ${near(base)}L${near(x(first[0]))} ${near(base)}Z`;
  });
  return parts.join("");
}

/** The point nearest to a minute, if there is any. */
export function nearest(points: readonly Point[], minute: number): Point | null {
  let best: Point | null = null;
  for (const point of points) {
    if (best === null || Math.abs(point[0] - minute) < Math.abs(best[0] - minute)) best = point;
  }
  return best;
}
