// The frame around every page.

import { Component, type ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { hostData, type Model } from "../model/model.js";
import { hrefOf } from "../model/route.js";
import { useApp } from "./context.js";
import { HostPage } from "./HostPage.js";
import { Hosts } from "./Hosts.js";
import { Pair } from "./Pair.js";
import { Button, Icon, Pill, Problem } from "./parts.js";

export function Shell() {
  const { model, route } = useApp();
  const title = titleOf(model);
  useEffect(() => {
    document.title = title;
  }, [title]);
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        Skip to the content
      </a>
      <header>
        <a class="brand" href={hrefOf({ page: "hosts" })}>
          <Mark />
          <span>Node Manager</span>
        </a>
        <span class="label muted">{model.app?.label ?? ""}</span>
        <LinkState model={model} />
      </header>
      <main id="main" tabIndex={-1}>
        <Warnings />
        <PairingReminder />
        <Guard place={hrefOf(route)}>
          {model.link.state === "refused" ? (
            <Refused />
          ) : route.page === "pair" ? (
            <Pair />
          ) : route.page === "host" ? (
            <HostPage key={route.pairing} pairing={route.pairing} tab={route.tab} />
          ) : (
            <Hosts />
          )}
        </Guard>
      </main>
      <footer class="muted">{model.app === null ? " " : `Version ${model.app.version}. This page talks to this computer only.`}</footer>
      <Notes />
    </>
  );
}

/** What wants the reader is in the title, to be seen in another tab too. */
export function titleOf(model: Model): string {
  if (model.pairing?.stage === "digits") return "Digits wanted · Node Manager";
  const hosts = model.app?.hosts ?? [];
  const alerts = hosts.reduce((sum, host) => sum + (hostData(model, host.pairing).alerts.value?.raised.length ?? 0), 0);
  return alerts > 0 ? `(${alerts}) Node Manager` : "Node Manager";
}

/** Without touching the address, whose part after `#` says which page is shown. */
function skip(event: Event) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function Mark() {
  return (
    <svg class="mark" viewBox="0 0 24 24" aria-hidden="true">
      <rect width="24" height="24" rx="6.5" />
      <path d="M7.5 16.5v-9l9 9v-9" />
      <circle cx="7.5" cy="16.5" r="2" />
      <circle cx="16.5" cy="7.5" r="2" />
    </svg>
  );
}

function LinkState({ model }: { model: Model }) {
  const { link, app } = model;
  const state = () => {
    if (link.state === "opening") return <Pill tone="plain">Connecting…</Pill>;
    if (link.state === "refused") return <Pill tone="bad">Old address</Pill>;
    if (link.state === "lost") return <Pill tone="bad">Reconnecting…</Pill>;
    if (app !== null && app.network.connected === 0) return <Pill tone="warn">No network</Pill>;
    return <Pill tone="good">Online</Pill>;
  };
  return (
    <div class="link-state" role="status" data-link={link.state}>
      {state()}
    </div>
  );
}

function Warnings() {
  const app = useApp();
  return (
    <>
      {app.model.warnings.map((text) => (
        <Problem key={text} problem={{ message: text, hint: null }}>
          <Button onClick={() => app.do({ type: "warning gone", text })}>Put away</Button>
        </Problem>
      ))}
    </>
  );
}

/** A pairing goes on while other pages are looked at. */
function PairingReminder() {
  const { model, route } = useApp();
  if (model.pairing === null || route.page === "pair") return null;
  const { stage, peer } = model.pairing;
  const text = {
    paired: `${peer?.name ?? "A host"} is paired.`,
    failed: "The pairing has failed.",
    digits: `${peer?.name ?? "A host"} waits for its six digits.`,
  }[stage as string];
  return (
    <p class="strip" role="status">
      {text ?? "A pairing is under way."} <a href={hrefOf({ page: "pair" })}>Show</a>
    </p>
  );
}

function Refused() {
  return (
    <section class="card">
      <h1>This address is no longer good</h1>
      <p>
        The node manager on this computer gives the page a new address each time it starts. Look at what{" "}
        <code>node-manager app run --web</code> has printed, and open that address.
      </p>
      <div class="row">
        <Button kind="primary" onClick={() => location.reload()}>
          Try again
        </Button>
      </div>
    </section>
  );
}

/** What comes and goes lies above the page, so that nothing below jumps. */
function Notes() {
  const app = useApp();
  const { link, notes } = app.model;
  return (
    <div class="notes">
      {link.state === "lost" && (
        <Problem problem={link.problem}>
          <Button onClick={() => void app.loadState()}>Try now</Button>
        </Problem>
      )}
      <div role="status" aria-live="polite">
        {notes.map((note) => (
          <p key={note.id} class={`note ${note.tone}`}>
            <Icon name={note.tone} />
            <span>{note.text}</span>
          </p>
        ))}
      </div>
    </div>
  );
}

/** Whatever goes wrong while drawing is said, and the other pages stay. */
class Guard extends Component<{ place: string; children: ComponentChildren }, { problem: string | null }> {
  override state = { problem: null };

  static override getDerivedStateFromError(error: unknown) {
    return { problem: String(error) };
  }

  override componentDidUpdate(before: { place: string }) {
    if (before.place !== this.props.place && this.state.problem !== null) this.setState({ problem: null });
  }

  override render() {
    if (this.state.problem === null) return this.props.children;
    return (
      <Problem problem={{ message: "This page cannot be drawn.", hint: this.state.problem }}>
        <Button onClick={() => this.setState({ problem: null })}>Try again</Button>
      </Problem>
    );
  }
}
