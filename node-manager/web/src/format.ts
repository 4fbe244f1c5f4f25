// Numbers and times as a person reads them.

const thousands = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1, minimumFractionDigits: 1 });

/** `12,345`. */
export function whole(value: number): string {
  return thousands.format(value);
}

/** `1 peer`, `12 peers`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${whole(value)} ${Math.abs(value) === 1 ? one : many}`;
}

/** MiB as `850 MiB`, `12.3 GiB`, `1.9 TiB`. */
export function mebibytes(value: number): string {
  if (Math.abs(value) < 1024) return `${whole(value)} MiB`;
  const gib = value / 1024;
  if (Math.abs(gib) < 1024) return `${Math.abs(gib) < 100 ? tenths.format(gib) : whole(gib)} GiB`;
  return `${tenths.format(gib / 1024)} TiB`;
}

/** `+250 ms`, `−1.5 s`, `0 ms`. */
export function offset(ms: number): string {
  const sign = ms > 0 ? "+" : ms < 0 ? "−" : "";
  const size = Math.abs(ms);
  return size < 1000 ? `${sign}${whole(size)} ms` : `${sign}${tenths.format(size / 1000)} s`;
}

/** `12 ms`, `1.4 s`. */
export function roundTrip(ms: number): string {
  return ms < 1000 ? `${whole(Math.max(1, ms))} ms` : `${tenths.format(ms / 1000)} s`;
}

/** A span in seconds: `45 seconds`, `3 minutes`, `2 hours`, `5 days`. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return counted(whole, "second");
  if (whole < 3600) return counted(Math.floor(whole / 60), "minute");
  if (whole < 48 * 3600) return counted(Math.floor(whole / 3600), "hour");
  return counted(Math.floor(whole / 86_400), "day");
}

/** How long ago, in seconds: `just now`, `3 minutes ago`. A clock that is a little off does not show the future. */
export function ago(seconds: number): string {
  return seconds < 10 ? "just now" : `${span(seconds)} ago`;
}

/** What is left of a countdown: `9:05`, `0:00`. */
export function countdown(ms: number): string {
  const left = Math.max(0, Math.ceil(ms / 1000));
  return `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
}

/** A countdown for those who listen, in steps that do not interrupt all the time. */
export function spokenCountdown(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  if (seconds === 0) return "The code has expired.";
  if (seconds <= 60) return "Less than a minute left.";
  return `${counted(Math.ceil(seconds / 60), "minute")} left.`;
}

/** The digits of a code in groups of four, whatever stood between them. */
export function groups(code: string): string[] {
  return code.replace(/\D/g, "").match(/.{1,4}/g) ?? [];
}

/** The six digits that a person typed, or `null` when they are not six. Blanks and hyphens between them are fine. */
export function sixDigits(typed: string): string | null {
  const digits = typed.replace(/[\s-]/g, "");
  return /^\d{6}$/.test(digits) ? digits : null;
}

/** Six digits as they are shown: `570 605`. */
export function digitPairs(digits: string): string {
  return digits.length === 6 ? `${digits.slice(0, 3)} ${digits.slice(3)}` : digits;
}

/** A point in time in the reader's own habit, with the day unless it is today's. */
export function moment(ms: number, now: number, locale?: string): string {
  const at = new Date(ms);
  const isToday = at.toDateString() === new Date(now).toDateString();
  const time: Intl.DateTimeFormatOptions = { hour: "numeric", minute: "2-digit" };
  const day: Intl.DateTimeFormatOptions = { day: "numeric", month: "short" };
  return new Intl.DateTimeFormat(locale, isToday ? time : { ...day, ...time }).format(at);
}

/** The hour and minute. */
export function clock(ms: number, locale?: string): string {
  return new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit" }).format(ms);
}

/** A date. */
export function date(ms: number, locale?: string): string {
  return new Intl.DateTimeFormat(locale, { day: "numeric", month: "long", year: "numeric" }).format(ms);
}

/** A line of a log without colours and other codes for terminals. */
export function plain(line: string): string {
  return line.replace(/\u001b\[[0-9;?]*[ -/]*[@-~]/g, "").replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, "");
}
