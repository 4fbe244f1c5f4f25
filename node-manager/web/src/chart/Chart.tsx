// A line over time, drawn as SVG: it takes its colours from the style sheet, and needs no style of its own.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { clock } from "../format.js";
import { area, line, nearest, type Point } from "./shape.js";
import { axis, timeTicks, type Range } from "./scale.js";

const HEIGHT = 180;
const EDGE = { top: 12, right: 12, bottom: 24 };
/** Room for a letter of the labels beside the axis. */
const LETTER = 6.6;

export interface ChartProps {
  /** What the page calls it, for tests and styles. */
  name: string;
  title: string;
  points: Point[];
  /** The minutes at both ends. */
  from: number;
  to: number;
  /** What the axis always shows. */
  always: Range;
  /** Least distance of the lines of the grid. */
  leastStep: number;
  /** A value with its unit. */
  format: (value: number) => string;
  /** A value at the axis. */
  label: (value: number) => string;
}

/** The width that the element has, followed as it changes. */
function useWidth() {
  const element = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    if (element.current === null) return;
    const observer = new ResizeObserver(([entry]) => entry && setWidth(Math.round(entry.contentRect.width)));
    observer.observe(element.current);
    setWidth(Math.round(element.current.getBoundingClientRect().width));
    return () => observer.disconnect();
  }, []);
  return [element, width] as const;
}

export function Chart({ name, title, points, from, to, always, leastStep, format, label }: ChartProps) {
  const [element, width] = useWidth();
  const [pointed, setPointed] = useState<number | null>(null);

  let [low, high] = [always.low, always.high];
  for (const [, value] of points) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const scale = axis({ low, high }, 4, leastStep);
  const labels = scale.ticks.map(label);
  const left = 10 + LETTER * Math.max(...labels.map((label) => label.length));
  const [right, bottom] = [Math.max(left + 1, width - EDGE.right), HEIGHT - EDGE.bottom];
  const x = (minute: number) => left + ((minute - from) / (to - from)) * (right - left);
  const y = (value: number) => bottom - ((value - scale.low) / (scale.high - scale.low)) * (bottom - EDGE.top);

  const newest = points.at(-1) ?? null;
  const shown = pointed === null ? null : nearest(points, pointed);
  const values = points.map(([, value]) => value);
  const at = ([minute, value]: Point) => `${clock(minute * 60_000)}: ${format(value)}`;

  const point = (event: PointerEvent) => {
    const box = element.current?.getBoundingClientRect();
    if (box) setPointed(from + ((event.clientX - box.left - left) / (right - left)) * (to - from));
  };
  const step = (event: KeyboardEvent) => {
    const place = shown === null ? points.length - 1 : points.indexOf(shown);
    const places: Record<string, number> = {
      ArrowLeft: place - 1,
      ArrowDown: place - 1,
      ArrowRight: place + 1,
      ArrowUp: place + 1,
      PageDown: place - 30,
      PageUp: place + 30,
      Home: 0,
      End: points.length - 1,
    };
    const wanted = places[event.key];
    if (event.key === "Escape") setPointed(null);
    if (wanted === undefined || points.length === 0) return;
    event.preventDefault();
    setPointed(points[Math.min(points.length - 1, Math.max(0, wanted))]![0]);
  };

  const spoken = shown ?? newest;
  const tip = shown === null ? null : at(shown);
  const tipWidth = tip === null ? 0 : tip.length * LETTER + 16;
  const tipAt = shown === null ? 0 : Math.min(Math.max(x(shown[0]) - tipWidth / 2, 0), Math.max(0, width - tipWidth));
  return (
    <figure class="chart" data-chart={name} data-newest={newest?.[0] ?? ""}>
      <figcaption>
        <span class="title">{title}</span>
        <span class="now">{newest === null ? "—" : format(newest[1])}</span>
        <span class="range">
          {values.length > 0 ? `${label(Math.min(...values))} to ${format(Math.max(...values))}` : "No samples yet"}
        </span>
      </figcaption>
      <div
        ref={element}
        class="plot"
        role="slider"
        tabIndex={0}
        aria-label={`${title} over time`}
        aria-readonly="true"
        aria-valuemin={from}
        aria-valuemax={to}
        aria-valuenow={spoken?.[0] ?? to}
        aria-valuetext={spoken === null ? "No samples yet" : at(spoken)}
        onPointerMove={point}
        onPointerDown={point}
        onPointerLeave={() => setPointed(null)}
        onKeyDown={step}
        onBlur={() => setPointed(null)}
      >
        {width > 0 && (
          <svg width={width} height={HEIGHT} viewBox={`0 0 ${width} ${HEIGHT}`} aria-hidden="true">
            {scale.ticks.map((tick, nth) => (
              <g key={tick}>
                <line class="grid" x1={left} x2={right} y1={y(tick)} y2={y(tick)} />
                <text class="label" x={left - 6} y={y(tick) + 3.5} text-anchor="end">
                  {labels[nth]}
                </text>
              </g>
            ))}
            {timeTicks(from, to, Math.max(2, width / 90), -new Date(to * 60_000).getTimezoneOffset()).map((tick) => (
              <text key={tick} class="label" x={Math.min(x(tick), right - 12)} y={HEIGHT - 6} text-anchor="middle">
                {clock(tick * 60_000)}
              </text>
            ))}
            <path class="area" d={area(points, x, y, bottom)} />
            <path class="line" d={line(points, x, y)} />
            {newest !== null && <circle class="dot" cx={x(newest[0])} cy={y(newest[1])} r="3.5" />}
            {shown !== null && (
              <g class="pointed">
                <line x1={x(shown[0])} x2={x(shown[0])} y1={EDGE.top} y2={bottom} />
                <circle cx={x(shown[0])} cy={y(shown[1])} r="4" />
                <rect x={tipAt} y="0" width={tipWidth} height="22" rx="5" />
                <text x={tipAt + tipWidth / 2} y="15" text-anchor="middle">
                  {tip}
                </text>
              </g>
            )}
          </svg>
        )}
      </div>
    </figure>
  );
}
