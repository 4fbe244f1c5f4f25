// Small parts that every view has.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Failure } from "../wire/app.js";
import type { Remote } from "../model/model.js";

export type Tone = "good" | "warn" | "bad" | "plain";

const ICONS = {
  good: "M5 10.5 8.5 14 15 6.5",
  warn: "M10 3.5 17.5 16.5H2.5ZM10 8.5V12M10 14.2v.1",
  bad: "M6 6l8 8M14 6l-8 8",
  plain: "M5 10h10",
  copy: "M7.5 7.5h8v8h-8ZM4.5 12.5v-8h8",
  refresh: "M15.5 10a5.5 5.5 0 1 1-1.7-4M15.8 3v3.4h-3.4",
  back: "M12 4.5 6.5 10l5.5 5.5",
  next: "M8 4.5 13.5 10 8 15.5",
  plus: "M10 4.5v11M4.5 10h11",
} as const;

export function Icon({ name }: { name: keyof typeof ICONS }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true">
      <path d={ICONS[name]} />
    </svg>
  );
}

/** A state in a word or two. The mark differs, not the colour alone. */
export function Pill({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return (
    <span class={`pill ${tone}`}>
      <Icon name={tone} />
      <span>{children}</span>
    </span>
  );
}

type ButtonProps = {
  kind?: "primary" | "quiet" | "danger";
  busy?: boolean;
  children: ComponentChildren;
} & Omit<JSX.IntrinsicElements["button"], "class">;

export function Button({ kind, busy, children, disabled, ...rest }: ButtonProps) {
  return (
    <button type="button" {...rest} class={`button ${kind ?? ""}`} disabled={disabled || busy} aria-busy={busy}>
      {children}
    </button>
  );
}

export function CopyButton({ text, what }: { text: string; what: string }) {
  const [state, setState] = useState<"ready" | "done" | "failed">("ready");
  useEffect(() => {
    if (state === "ready") return;
    const timer = window.setTimeout(() => setState("ready"), 2000);
    return () => clearTimeout(timer);
  }, [state]);
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setState("done"),
      () => setState("failed"),
    );
  const said = { ready: "Copy", done: "Copied", failed: "Not copied" }[state];
  return (
    <Button kind="quiet" onClick={() => void copy()} aria-label={`Copy ${what}`}>
      <Icon name={state === "done" ? "good" : "copy"} />
      <span class="word">{said}</span>
      <span class="unseen" role="status">
        {state === "done" ? "Copied" : state === "failed" ? "Could not be copied. Select the text instead." : ""}
      </span>
    </Button>
  );
}

/** Something that went wrong, and what to do. */
export function Problem({ problem, children }: { problem: Failure; children?: ComponentChildren }) {
  return (
    <div class="problem" role="alert">
      <Icon name="warn" />
      <div>
        <p class="strong">
          <Prose text={sentence(problem.message)} />
        </p>
        {problem.hint !== null && (
          <p>
            <Prose text={sentence(problem.hint)} />
          </p>
        )}
        {children !== undefined && <div class="row">{children}</div>}
      </div>
    </div>
  );
}

/** A message with a capital at the start and a stop at the end. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  const ends = /[.!?…]$/.test(trimmed) ? "" : ".";
  return trimmed === "" ? "" : trimmed[0]!.toUpperCase() + trimmed.slice(1) + ends;
}

/** Text in which backticks stand around what is typed. */
export function Prose({ text }: { text: string }) {
  return <>{text.split("`").map((part, at) => (at % 2 === 1 ? <code key={at}>{part}</code> : part))}</>;
}

interface LoadedProps<T> {
  remote: Remote<T>;
  /** Whether the host can be asked. */
  reachable: boolean;
  /** What it is, as in "The alerts". */
  what: string;
  /** Drawn while there is nothing yet; as high as what comes. */
  rows?: number;
  onRetry: () => void;
  children: (value: T) => ComponentChildren;
}

/** An answer of a host, or how it is with it. */
export function Loaded<T>({ remote, reachable, what, rows = 3, onRetry, children }: LoadedProps<T>) {
  const retry = (
    <Button onClick={onRetry} busy={remote.loading} disabled={!reachable}>
      Try again
    </Button>
  );
  if (remote.value !== null) {
    return (
      <>
        {remote.problem !== null && <Problem problem={remote.problem}>{retry}</Problem>}
        {children(remote.value)}
      </>
    );
  }
  if (remote.problem !== null) return <Problem problem={remote.problem}>{retry}</Problem>;
  if (!reachable) return <p class="empty">{what} can be shown when the host is connected.</p>;
  return <Waiting what={what} rows={rows} />;
}

export function Waiting({ what, rows }: { what: string; rows: number }) {
  return (
    <div class="waiting" role="status">
      <span class="unseen">{what}: loading…</span>
      {Array.from({ length: rows }, (_, at) => (
        <span key={at} class="bar" aria-hidden="true" />
      ))}
    </div>
  );
}

interface ConfirmProps {
  title: string;
  children: ComponentChildren;
  yes: string;
  busy?: boolean;
  problem?: Failure | null;
  onYes: () => void;
  onNo: () => void;
}

/** Asks before something is done that hurts. */
export function Confirm({ title, children, yes, busy, problem, onYes, onNo }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby="confirm-title"
      onCancel={(event) => {
        event.preventDefault();
        onNo();
      }}
    >
      <h2 id="confirm-title">{title}</h2>
      <div class="prose">{children}</div>
      {problem && <Problem problem={problem} />}
      <div class="row end">
        <Button onClick={onNo} autofocus>
          Cancel
        </Button>
        <Button kind="danger" busy={busy ?? false} onClick={onYes}>
          {yes}
        </Button>
      </div>
    </dialog>
  );
}

/** A figure with its name. */
export function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** The heading of a page. It takes the focus when the reader comes from another page. */
export function Heading({ children }: { children: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    // On the first page of a visit the focus stays where the browser puts it.
    if (document.body.dataset["visited"] === "yes") heading.current?.focus({ preventScroll: true });
    document.body.dataset["visited"] = "yes";
  }, []);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {children}
    </h1>
  );
}

/** The heading of what has just come in the place of something else. It takes the focus, which would be lost. */
export function NewHeading({ children }: { children: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  return (
    <h2 ref={heading} tabIndex={-1}>
      {children}
    </h2>
  );
}
