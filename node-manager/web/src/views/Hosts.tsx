// The list of paired hosts.

import { counted, ago, digitPairs, roundTrip, whole } from "../format.js";
import { peersView, syncView } from "../model/live.js";
import { hostData } from "../model/model.js";
import { hrefOf } from "../model/route.js";
import type { Host, Network } from "../wire/app.js";
import { useApp, useNow } from "./context.js";
import { CopyButton, Fact, Heading, Icon, Pill, Waiting } from "./parts.js";

export function Hosts() {
  const { model } = useApp();
  const hosts = model.app?.hosts;
  return (
    <>
      <div class="page-head">
        <Heading>Your hosts</Heading>
        {hosts !== undefined && hosts.length > 0 && (
          <a class="button primary" href={hrefOf({ page: "pair" })}>
            <Icon name="plus" />
            Pair a host
          </a>
        )}
      </div>
      {hosts === undefined ? (
        <div class="cards" aria-busy="true">
          <div class="card host">
            <Waiting what="Your hosts" rows={5} />
          </div>
        </div>
      ) : hosts.length === 0 ? (
        <NoHosts />
      ) : (
        <ul class="cards">
          {hosts.map((host) => (
            <li key={host.pairing} class="card host" data-host={host.name}>
              {host.stage === "confirmed" ? <HostCard host={host} /> : <Unfinished host={host} />}
            </li>
          ))}
        </ul>
      )}
      {model.app !== null && <NetworkDetails network={model.app.network} />}
    </>
  );
}

function NoHosts() {
  return (
    <section class="card welcome">
      <h2>No host is paired yet</h2>
      <p>
        A host is the machine that your validator runs on. Once it is paired you see here how it is, and programs on this
        computer reach its beacon node. No port has to be opened for that.
      </p>
      <ol class="numbered">
        <li>
          Install the node manager on the host, and start it with <code>node-manager run</code>.
        </li>
        <li>Make a code on this page, and type it in on the host.</li>
        <li>Compare six digits. That is all.</li>
      </ol>
      <a class="button primary" href={hrefOf({ page: "pair" })}>
        Pair your first host
      </a>
    </section>
  );
}

function HostCard({ host }: { host: Host }) {
  const { model } = useApp();
  const now = useNow(10_000);
  const data = hostData(model, host.pairing);
  const isUp = host.session !== null && model.link.state === "live";
  const sync = syncView(data);
  const peers = peersView(data);
  const alerts = data.alerts.value?.raised.length ?? null;
  const unknown = (failed: boolean) => (isUp && !failed ? <span class="bar short" /> : <span class="figure muted">—</span>);
  return (
    <>
      <div class="card-head">
        <h2>
          <a href={hrefOf({ page: "host", pairing: host.pairing, tab: "overview" })}>{host.name}</a>
        </h2>
        <SessionPill host={host} />
      </div>
      <p class="reach muted">{reach(host, now)}</p>
      <dl class={`facts three ${isUp ? "" : "stale"}`}>
        <Fact name="Beacon node">
          {sync === null ? unknown(data.syncing.problem !== null) : <span class={`figure ${sync.tone}`}>{sync.title}</span>}
          <small>
            {sync === null
              ? data.syncing.problem !== null ? "No answer" : " "
              : sync.tone === "good"
                ? sync.headSlot === null ? " " : `Slot ${whole(sync.headSlot)}`
                : `${counted(sync.distance, "slot")} behind`}
          </small>
        </Fact>
        <Fact name="Peers">
          {peers === null ? unknown(data.peerCount.problem !== null) : <span class="figure">{whole(peers)}</span>}
          <small>{" "}</small>
        </Fact>
        <Fact name="Alerts">
          {alerts === null ? (
            unknown(data.alerts.problem !== null)
          ) : alerts === 0 ? (
            <span class="figure">None</span>
          ) : (
            <a class="figure bad" href={hrefOf({ page: "host", pairing: host.pairing, tab: "alerts" })}>
              {whole(alerts)}
              <span class="unseen"> {alerts === 1 ? "alert" : "alerts"}</span>
            </a>
          )}
          <small>{" "}</small>
        </Fact>
      </dl>
      <div class="card-foot">
        <Endpoint host={host} />
      </div>
    </>
  );
}

/** How the host is reached, and when it was last heard, in a line. */
export function reach(host: Host, now: number): string {
  const seen = host.last_seen === null ? null : ago(now / 1000 - host.last_seen);
  if (host.session === null) return seen === null ? "Never seen yet" : `Last seen ${seen}`;
  const trip = host.session.round_trip_ms;
  const parts = [trip === null ? null : `Round trip ${roundTrip(trip)}`, seen === null ? null : `last seen ${seen}`];
  const line = parts.filter((part) => part !== null).join(", ");
  return line === "" ? "Connected just now" : line[0]!.toUpperCase() + line.slice(1);
}

export function SessionPill({ host }: { host: Host }) {
  const { model } = useApp();
  if (model.link.state !== "live") return <Pill tone="plain">Not known</Pill>;
  if (host.stage !== "confirmed") return <Pill tone="warn">Not finished</Pill>;
  return host.session === null ? <Pill tone="plain">Not connected</Pill> : <Pill tone="good">Connected</Pill>;
}

export function Endpoint({ host }: { host: Host }) {
  if (host.endpoint === null) return <p class="muted endpoint">No local address</p>;
  return (
    <p class="endpoint">
      <code>{host.endpoint}</code>
      <CopyButton text={host.endpoint} what={`the local address of ${host.name}`} />
    </p>
  );
}

function Unfinished({ host }: { host: Host }) {
  return (
    <>
      <div class="card-head">
        <h2>
          <a href={hrefOf({ page: "host", pairing: host.pairing, tab: "settings" })}>{host.name}</a>
        </h2>
        <SessionPill host={host} />
      </div>
      <p>
        {host.stage === "keyed"
          ? "The six digits have not been compared yet, so this host can do nothing here."
          : "This pairing has begun and is not finished."}
        {host.digits !== null && ` Its digits are ${digitPairs(host.digits)}.`}
      </p>
      <p>
        <a href={hrefOf({ page: "pair" })}>Go on with pairing</a>
      </p>
    </>
  );
}

function NetworkDetails({ network }: { network: Network }) {
  return (
    <details class="network" open={network.connected === 0}>
      <summary>
        {network.connected > 0
          ? `Connected to the Waku network through ${counted(network.connected, "node")}`
          : "Not connected to the Waku network"}
      </summary>
      {network.static_nodes.length === 0 ? (
        <p class="muted">No node was given by name.</p>
      ) : (
        <ul>
          {network.static_nodes.map((node) => (
            <li key={node.address}>
              <Pill tone={node.connected ? "good" : "bad"}>{node.connected ? "Connected" : "Not connected"}</Pill>
              <code>{node.address}</code>
              {node.problem !== null && <p class="muted">{node.problem}</p>}
            </li>
          ))}
        </ul>
      )}
    </details>
  );
}
