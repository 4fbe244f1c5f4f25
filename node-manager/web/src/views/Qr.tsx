/** Light modules around the code, without which it is not found. */
const QUIET = 4;

/** A QR code: dark on light whatever the page's colours are. */
export function Qr({ rows, label }: { rows: string[]; label: string }) {
  const size = rows.length + 2 * QUIET;
  const dark = rows.flatMap((row, y) =>
    [...row.matchAll(/1+/g)].map((run) => `M${run.index + QUIET} ${y + QUIET}h${run[0].length}v1h-${run[0].length}z`),
  );
  return (
    <svg class="qr" role="img" aria-label={label} viewBox={`0 0 ${size} ${size}`} shape-rendering="crispEdges">
      <rect class="light" width={size} height={size} />
      <path class="dark" d={dark.join("")} />
    </svg>
  );
}
