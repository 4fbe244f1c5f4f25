// The pairing itself: what the host is called here, who it is, and the end of it.

import { useState } from "preact/hooks";
import { date, digitPairs } from "../../format.js";
import { described } from "../../io/app.js";
import { hostData } from "../../model/model.js";
import { hrefOf } from "../../model/route.js";
import type { Failure, Host } from "../../wire/app.js";
import { useApp } from "../context.js";
import type { HostViewProps } from "../HostPage.js";
import { Button, Confirm, CopyButton, Problem } from "../parts.js";

/** The longest name that fits everywhere, in characters. */
const MAX_NAME = 64;

export function Settings({ host }: HostViewProps) {
  return (
    <>
      <Rename key={host.name} host={host} />
      <Identity host={host} />
      <Unpair host={host} />
    </>
  );
}

function Rename({ host }: { host: Host }) {
  const app = useApp();
  const [name, setName] = useState(host.name);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Failure | null>(null);
  const rename = async (wanted: string | null) => {
    setBusy(true);
    setProblem(null);
    try {
      await app.rename(host.pairing, wanted);
      app.note("The new name is saved.", "good");
    } catch (error) {
      setProblem(described(error).failure);
    }
    setBusy(false);
  };
  const trimmed = name.trim();
  return (
    <section class="card" aria-labelledby="name-title">
      <h2 id="name-title">Name</h2>
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          if (trimmed !== "" && trimmed !== host.name) void rename(trimmed);
        }}
      >
        <label class="grow">
          <span class="unseen">What this host is called on this computer</span>
          <input
            type="text"
            value={name}
            maxLength={MAX_NAME}
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
        <Button type="submit" kind="primary" busy={busy} disabled={trimmed === "" || trimmed === host.name}>
          Save
        </Button>
        {host.name !== host.label && host.label.trim() !== "" && (
          <Button busy={busy} onClick={() => void rename(null)}>
            Use its own name
          </Button>
        )}
      </form>
      {problem !== null && <Problem problem={problem} />}
      <p class="muted">
        Only this computer uses this name. The host calls itself {host.label.trim() === "" ? "nothing" : <em>{host.label}</em>}.
      </p>
    </section>
  );
}

function Identity({ host }: { host: Host }) {
  const { model } = useApp();
  const info = hostData(model, host.pairing).info.value;
  return (
    <section class="card" aria-labelledby="identity-title">
      <h2 id="identity-title">Pairing</h2>
      {host.stage === "confirmed" && !host.compared && (
        <Problem
          problem={{
            message: "The six digits were not compared when this host was paired.",
            hint: "Compare those below with what `node-manager peers show` says on the host. If they differ, unpair it.",
          }}
        />
      )}
      <dl class="pairs">
        <dt>Fingerprint</dt>
        <dd class="row">
          <code>{host.fingerprint}</code>
          <CopyButton text={host.fingerprint} what="the fingerprint" />
        </dd>
        <dt>Paired</dt>
        <dd>{date(host.paired_at * 1000)}</dd>
        <dt>Six digits</dt>
        <dd>
          {host.digits === null ? "" : <code>{digitPairs(host.digits)}</code>} {host.compared ? "Compared" : "Not compared"}
        </dd>
        {info !== null && (
          <>
            <dt>Node manager</dt>
            <dd>Version {info.version}</dd>
            <dt>This computer may</dt>
            <dd>{info.grants.map((grant) => GRANTS[grant] ?? grant).join("; ") || "do nothing"}</dd>
            <dt>Services in reach</dt>
            <dd>{info.services.map(({ name, mount }) => (mount === "" ? name : `${name} at ${mount}`)).join(", ") || "None"}</dd>
          </>
        )}
      </dl>
    </section>
  );
}

const GRANTS: Record<string, string> = {
  monitor: "look at the node",
  operate: "start and stop services",
  keys: "use the keymanager",
};

function Unpair({ host }: { host: Host }) {
  const app = useApp();
  const [asked, setAsked] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Failure | null>(null);
  const unpair = async () => {
    setBusy(true);
    setProblem(null);
    try {
      await app.unpair(host.pairing);
      app.note(`${host.name} is unpaired.`, "good");
      location.hash = hrefOf({ page: "hosts" });
    } catch (error) {
      setProblem(described(error).failure);
      setBusy(false);
    }
  };
  return (
    <section class="card" aria-labelledby="unpair-title">
      <h2 id="unpair-title">Unpair</h2>
      <p>This computer and the host forget each other’s keys. To connect them again you pair them anew.</p>
      <div class="row">
        <Button kind="danger" onClick={() => setAsked(true)}>
          Unpair {host.name}…
        </Button>
      </div>
      {asked && (
        <Confirm
          title={`Unpair ${host.name}?`}
          yes="Unpair"
          busy={busy}
          problem={problem}
          onYes={() => void unpair()}
          onNo={() => {
            setAsked(false);
            setProblem(null);
          }}
        >
          <p>Programs on this computer no longer reach its beacon node, and this page shows no more of it. The validator goes on as it is.</p>
        </Confirm>
      )}
    </section>
  );
}
