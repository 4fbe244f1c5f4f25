// Pairing with a host, step by step.

import { useEffect, useRef, useState } from "preact/hooks";
import { countdown, groups, sixDigits, span, spokenCountdown } from "../format.js";
import type { Pairing, PairingStage } from "../model/model.js";
import { hrefOf } from "../model/route.js";
import type { Who } from "../wire/app.js";
import { useApp, useNow } from "./context.js";
import { Button, CopyButton, Heading, Icon, NewHeading, Problem, Prose, sentence } from "./parts.js";
import { Qr } from "./Qr.js";

export function Pair() {
  const { model } = useApp();
  const { pairing } = model;
  return (
    <div class="narrow">
      <a class="back" href={hrefOf({ page: "hosts" })}>
        <Icon name="back" />
        Your hosts
      </a>
      <Heading>Pair a host</Heading>
      <p class="unseen" role="status">
        {pairing === null ? "" : SPOKEN[pairing.stage]}
      </p>
      {pairing === null ? <Begin /> : <Stage pairing={pairing} />}
    </div>
  );
}

const SPOKEN: Record<PairingStage, string> = {
  waiting: "The code is ready. Waiting for the host.",
  found: "A host has answered.",
  keyed: "The keys are agreed on.",
  digits: "Type the six digits that the host shows.",
  checking: "The digits are being compared.",
  cancelling: "The pairing is being cancelled.",
  paired: "The host is paired.",
  failed: "The pairing has failed.",
};

function Begin() {
  const app = useApp();
  const { offering, offerProblem, app: state, link } = app.model;
  return (
    <section class="card">
      <p>
        Pairing introduces this computer to the machine that your validator runs on. It takes about a minute, and you need a
        terminal on that machine.
      </p>
      <ol class="numbered">
        <li>Make a code here. It is good for a few minutes and for one host.</li>
        <li>
          On the host, run <code>node-manager pair</code> and type the code.
        </li>
        <li>The host then shows six digits. Type them here, and the two know each other.</li>
      </ol>
      {state !== null && state.network.connected === 0 && (
        <Problem
          problem={{
            message: "This computer is not connected to the Waku network.",
            hint: "A host can only find it once it is. Your list of hosts says what is wrong.",
          }}
        />
      )}
      {offerProblem !== null && <Problem problem={offerProblem} />}
      <div class="row">
        <Button kind="primary" busy={offering} disabled={link.state !== "live"} onClick={() => void app.pair()}>
          {offering ? "Making a code…" : "Make a code"}
        </Button>
      </div>
    </section>
  );
}

function Stage({ pairing }: { pairing: Pairing }) {
  switch (pairing.stage) {
    case "paired":
      return <Paired pairing={pairing} />;
    case "failed":
      return <Failed pairing={pairing} />;
    default:
      return <UnderWay pairing={pairing} />;
  }
}

const STEPS: { name: string; done: PairingStage[] }[] = [
  { name: "Host answers", done: ["found", "keyed", "digits", "checking"] },
  { name: "Keys agreed", done: ["keyed", "digits", "checking"] },
  { name: "Digits compared", done: [] },
];

function Steps({ stage }: { stage: PairingStage }) {
  const current = STEPS.findIndex((step) => !step.done.includes(stage));
  return (
    <ol class="steps" aria-label="Progress">
      {STEPS.map((step, at) => (
        <li key={step.name} class={at < current ? "done" : at === current ? "current" : ""} aria-current={at === current ? "step" : undefined}>
          <span class="mark" aria-hidden="true">
            {at < current ? <Icon name="good" /> : at + 1}
          </span>
          <span>
            {step.name}
            {at < current && <span class="unseen"> (done)</span>}
          </span>
        </li>
      ))}
    </ol>
  );
}

function UnderWay({ pairing }: { pairing: Pairing }) {
  const app = useApp();
  const now = useNow(1000);
  const left = pairing.deadline - now;
  const wantsDigits = pairing.stage === "digits" || pairing.stage === "checking";
  const isExpired = left <= 0 && !wantsDigits;
  return (
    <section class="card">
      <Steps stage={pairing.stage} />
      {pairing.skew !== null && (
        <Problem
          problem={{
            message: `The clocks of the two machines are ${span(pairing.skew)} apart.`,
            hint: "Set the one that is wrong, then pair again if this does not go on.",
          }}
        />
      )}
      {wantsDigits && pairing.peer !== null ? (
        <Digits pairing={pairing} peer={pairing.peer} />
      ) : (
        <Code pairing={pairing} left={left} isExpired={isExpired} />
      )}
      <div class="row end">
        {isExpired && (
          <Button kind="primary" busy={app.model.offering} onClick={() => void app.pair()}>
            Make a fresh code
          </Button>
        )}
        <Button kind="quiet" busy={pairing.stage === "cancelling"} onClick={() => void app.cancelPairing()}>
          {pairing.stage === "cancelling" ? "Cancelling…" : "Cancel pairing"}
        </Button>
      </div>
    </section>
  );
}

function Code({ pairing, left, isExpired }: { pairing: Pairing; left: number; isExpired: boolean }) {
  const parts = groups(pairing.code);
  return (
    <div class={`offer ${isExpired ? "stale" : ""}`}>
      <div>
        <NewHeading>{pairing.stage === "waiting" ? "Type this code on the host" : "The host has answered"}</NewHeading>
        <p class="code" data-code={pairing.code} aria-label={`Code: ${parts.join(", ")}`}>
          {parts.map((part, at) => (
            <span key={at}>{part}</span>
          ))}
        </p>
        <div class="row">
          <CopyButton text={pairing.code} what="the code" />
          <p class="muted countdown" aria-hidden="true">
            {isExpired ? "Expired" : `Good for ${countdown(left)}`}
          </p>
          <span class="unseen" role="status">
            {spokenCountdown(left)}
          </span>
        </div>
        <p class="muted">
          On the host: <code>node-manager pair</code>
        </p>
        <p class="muted">Keep the code to yourself: whoever types it first is the host that answers.</p>
      </div>
      {pairing.qr !== null && (
        <div class="qr-frame">
          <Qr rows={pairing.qr} label="The same code as a QR code" />
        </div>
      )}
    </div>
  );
}

function Digits({ pairing, peer }: { pairing: Pairing; peer: Who }) {
  const app = useApp();
  const [typed, setTyped] = useState("");
  const [mistake, setMistake] = useState<string | null>(null);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const send = (event: Event) => {
    event.preventDefault();
    const digits = sixDigits(typed);
    if (digits === null) {
      setMistake("These must be six digits.");
      field.current?.focus();
    } else void app.compareDigits(peer.pairing, digits);
  };
  const isBusy = pairing.stage === "checking";
  return (
    <form class="digits" onSubmit={send} noValidate>
      <h2>
        Is this <em>{peer.name}</em>?
      </h2>
      <p>Both machines have worked out the same six digits. Type those that the host shows; if they are right, nobody sits in between.</p>
      <label for="digits">Six digits on the host’s screen</label>
      <div class="row">
        <input
          id="digits"
          ref={field}
          class="big-digits"
          type="text"
          inputMode="numeric"
          autocomplete="off"
          maxLength={9}
          placeholder="000 000"
          value={typed}
          readOnly={isBusy}
          aria-invalid={mistake !== null}
          aria-describedby="digits-help"
          onInput={(event) => {
            setTyped(event.currentTarget.value);
            setMistake(null);
          }}
        />
        <Button kind="primary" type="submit" busy={isBusy}>
          {isBusy ? "Comparing…" : "Compare"}
        </Button>
      </div>
      <p id="digits-help" class={mistake === null ? "muted" : "mistake"} role={mistake === null ? undefined : "alert"}>
        {mistake ?? "There is one try: wrong digits end the pairing, and you start over with a fresh code."}
      </p>
      {pairing.problem !== null && <Problem problem={pairing.problem} />}
      <Identity peer={peer} />
    </form>
  );
}

function Identity({ peer }: { peer: Who }) {
  return (
    <>
      <dl class="pairs">
        <dt>Fingerprint</dt>
        <dd>
          <code>{peer.fingerprint}</code>
        </dd>
      </dl>
      {peer.again && <p class="muted">This very host was paired with this computer before.</p>}
      {peer.namesake !== null && (
        <Problem
          problem={{
            message: "Another paired host goes by the same name.",
            hint: `Its fingerprint is ${peer.namesake}. If you did not set up a new machine, do not go on.`,
          }}
        />
      )}
    </>
  );
}

function Paired({ pairing }: { pairing: Pairing }) {
  const app = useApp();
  const { peer } = pairing;
  if (peer === null) return null;
  return (
    <section class="card result" data-result="paired">
      <span class="seal good" aria-hidden="true">
        <Icon name="good" />
      </span>
      <NewHeading>{peer.name} is paired</NewHeading>
      <p>
        {pairing.acknowledged
          ? "Both machines have saved it. From now on they find each other by themselves."
          : "This computer has saved it. The host saves it as soon as it hears of it, which takes a few seconds."}
      </p>
      {!pairing.compared && (
        <Problem problem={{ message: "The six digits were not compared.", hint: "The settings of the host have them for later." }} />
      )}
      <dl class="pairs">
        <dt>Fingerprint</dt>
        <dd>
          <code>{peer.fingerprint}</code>
        </dd>
      </dl>
      <div class="row">
        <a class="button primary" href={hrefOf({ page: "host", pairing: peer.pairing, tab: "overview" })} onClick={() => app.closePairing()}>
          Open {peer.name}
        </a>
        <Button onClick={() => app.closePairing()}>Pair another host</Button>
      </div>
    </section>
  );
}

function Failed({ pairing }: { pairing: Pairing }) {
  const app = useApp();
  const { problem } = pairing;
  return (
    <section class="card result" data-result="failed">
      <span class="seal bad" aria-hidden="true">
        <Icon name="bad" />
      </span>
      <NewHeading>Nothing was paired</NewHeading>
      <div role="alert">
        <p>
          <Prose text={sentence(problem?.message ?? "The pairing ended without a reason.")} />
        </p>
        {problem?.hint != null && (
          <p class="muted">
            <Prose text={sentence(problem.hint)} />
          </p>
        )}
      </div>
      {app.model.offerProblem !== null && <Problem problem={app.model.offerProblem} />}
      <div class="row">
        <Button kind="primary" busy={app.model.offering} onClick={() => void app.pair()}>
          Make a fresh code
        </Button>
        <a class="button" href={hrefOf({ page: "hosts" })} onClick={() => app.closePairing()}>
          Back to your hosts
        </a>
      </div>
    </section>
  );
}
