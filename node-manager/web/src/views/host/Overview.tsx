// How the host is, now and over the last day.

import { useState } from "preact/hooks";
import { Chart, type ChartProps } from "../../chart/Chart.js";
import { ago, clock, counted, mebibytes, offset, roundTrip, whole } from "../../format.js";
import { newestSample, peersView, points, syncView } from "../../model/live.js";
import { hostData } from "../../model/model.js";
import { hrefOf } from "../../model/route.js";
import type { Column, History } from "../../wire/host.js";
import { useApp, useNow } from "../context.js";
import { Endpoint } from "../Hosts.js";
import { Button, Fact, Icon, Loaded, Prose, sentence } from "../parts.js";
import type { HostViewProps } from "../HostPage.js";
import { alertTitle } from "./Alerts.js";

export function Overview({ host, reachable }: HostViewProps) {
  const app = useApp();
  const now = useNow(10_000);
  const data = hostData(app.model, host.pairing);
  const sync = syncView(data);
  const peers = peersView(data);
  const sample = newestSample(data);
  const asOf = Math.max(data.syncing.at, (sample?.minute ?? 0) * 60_000);
  const isLoading = data.syncing.loading || data.peerCount.loading || data.alerts.loading;
  const refresh = () => {
    void app.ask(host.pairing, "syncing");
    void app.ask(host.pairing, "peerCount");
    void app.ask(host.pairing, "alerts");
  };
  const trip = host.session?.round_trip_ms;
  const waits = (failed: boolean) => (reachable && !failed ? <span class="bar short" /> : <span class="figure muted">—</span>);
  return (
    <>
      <AlertStrip host={host} reachable={reachable} />
      <section class="card" aria-labelledby="now-title">
        <div class="card-head">
          <h2 id="now-title">Beacon node</h2>
          <div class="row">
            <span class="muted">{asOf > 0 ? `As of ${clock(asOf)}` : ""}</span>
            <Button kind="quiet" onClick={refresh} busy={isLoading} disabled={!reachable} aria-label="Refresh">
              <Icon name="refresh" />
              <span class="word">Refresh</span>
            </Button>
          </div>
        </div>
        <dl class={`facts four ${reachable ? "" : "stale"}`}>
          <Fact name="State">
            {sync === null ? waits(data.syncing.problem !== null) : <span class={`figure ${sync.tone}`}>{sync.title}</span>}
            <small>{sync === null ? (data.syncing.problem?.message ?? " ") : `${counted(sync.distance, "slot")} behind`}</small>
          </Fact>
          <Fact name="Newest slot">
            {sync?.headSlot == null ? waits(data.syncing.problem !== null) : <span class="figure">{whole(sync.headSlot)}</span>}
            <small>{epoch(sample?.values.finalized_epoch)}</small>
          </Fact>
          <Fact name="Peers">
            {peers === null ? waits((data.peerCount.problem ?? data.history.problem) !== null) : <span class="figure">{whole(peers)}</span>}
            <small>{data.peerCount.problem !== null && peers === null ? data.peerCount.problem.message : " "}</small>
          </Fact>
          <Fact name="Round trip">
            {trip == null ? waits(host.session === null) : <span class="figure">{roundTrip(trip)}</span>}
            <small>{host.last_seen === null ? " " : `Last seen ${ago(now / 1000 - host.last_seen)}`}</small>
          </Fact>
        </dl>
        <dl class="pairs">
          <dt>Local address</dt>
          <dd>
            <Endpoint host={host} />
          </dd>
          <dt>Software</dt>
          <dd>{data.version.value ?? <span class="muted">{data.version.problem?.message ?? "Not known yet"}</span>}</dd>
        </dl>
      </section>
      <section class="card" aria-labelledby="charts-title">
        {data.history.value === null && <h2 id="charts-title">Over time</h2>}
        <Loaded
          remote={data.history}
          reachable={reachable}
          what="The charts"
          rows={18}
          onRetry={() => void app.ask(host.pairing, "history")}
        >
          {(history) => <Charts history={history} now={now} />}
        </Loaded>
      </section>
    </>
  );
}

/** What is wrong, in a line that has its place from the start. */
function AlertStrip({ host, reachable }: HostViewProps) {
  const { model } = useApp();
  const { value, problem } = hostData(model, host.pairing).alerts;
  const [first, ...others] = value?.raised ?? [];
  if (first === undefined) {
    const isLooking = value === null && problem === null && reachable;
    const text = value !== null ? "Nothing is wrong" : isLooking ? "Looking for alerts…" : "Whether there are alerts is not known";
    return (
      <p class="strip alert-strip">
        <Icon name={value === null ? "plain" : "good"} />
        <span>{text}</span>
      </p>
    );
  }
  return (
    <a class="strip alert-strip bad" href={hrefOf({ page: "host", pairing: host.pairing, tab: "alerts" })}>
      <Icon name="warn" />
      <span>
        <span class="strong">{alertTitle(first)}</span> <Prose text={sentence(first.text)} />
      </span>
      <span class="more">{others.length === 0 ? "What to do" : `and ${others.length} more`}</span>
      <Icon name="next" />
    </a>
  );
}

function epoch(finalized: number | undefined): string {
  return finalized === undefined ? " " : `Epoch ${whole(finalized)} is final`;
}

type Look = Pick<ChartProps, "title" | "always" | "leastStep" | "format" | "label">;

const percent = (value: number) => `${whole(value)} %`;

const LOOKS: Record<"sync_distance" | "peers" | "cpu" | "memory" | "disk_free" | "clock_offset", Look> = {
  sync_distance: {
    title: "Slots behind",
    always: { low: 0, high: 4 },
    leastStep: 1,
    format: (value) => counted(value, "slot"),
    label: whole,
  },
  peers: { title: "Peers", always: { low: 0, high: 4 }, leastStep: 1, format: (value) => counted(value, "peer"), label: whole },
  cpu: { title: "Processor", always: { low: 0, high: 100 }, leastStep: 25, format: percent, label: percent },
  memory: { title: "Memory in use", always: { low: 0, high: 100 }, leastStep: 25, format: percent, label: percent },
  disk_free: { title: "Free disk space", always: { low: 0, high: 1024 }, leastStep: 256, format: mebibytes, label: mebibytes },
  clock_offset: { title: "Clock offset", always: { low: -100, high: 100 }, leastStep: 50, format: offset, label: offset },
};

const CHOICE = ["cpu", "memory", "disk_free", "clock_offset"] as const;

const SPANS = [
  { hours: 1, name: "1 hour" },
  { hours: 6, name: "6 hours" },
  { hours: 24, name: "1 day" },
];

function Charts({ history, now }: { history: History; now: number }) {
  const [hours, setHours] = useState(6);
  const [chosen, setChosen] = useState<(typeof CHOICE)[number]>("cpu");
  const last = history.samples.at(-1)?.minute;
  // The right end is the host's newest minute; a host that has been silent shows how long.
  const to = Math.max(last ?? 0, Math.floor(now / 60_000) - 1);
  const from = to - hours * 60;
  const chart = (column: Column & keyof typeof LOOKS, name: string = column) => (
    <Chart name={name} {...LOOKS[column]} points={points(history.samples, column, from)} from={from} to={to} />
  );
  return (
    <>
      <div class="card-head">
        <h2 id="charts-title">Over time</h2>
        <fieldset class="choice">
          <legend class="unseen">Time shown</legend>
          {SPANS.map((span) => (
            <label key={span.hours}>
              <input type="radio" name="span" checked={hours === span.hours} onChange={() => setHours(span.hours)} />
              <span>{span.name}</span>
            </label>
          ))}
        </fieldset>
      </div>
      <div class="charts">
        {chart("sync_distance")}
        {chart("peers")}
      </div>
      <div class="card-head sub">
        <h3>The machine</h3>
        <fieldset class="choice">
          <legend class="unseen">Measure shown</legend>
          {CHOICE.map((column) => (
            <label key={column}>
              <input type="radio" name="measure" checked={chosen === column} onChange={() => setChosen(column)} />
              <span>{SHORT[column]}</span>
            </label>
          ))}
        </fieldset>
      </div>
      {chart(chosen, "machine")}
    </>
  );
}

const SHORT: Record<(typeof CHOICE)[number], string> = {
  cpu: "Processor",
  memory: "Memory",
  disk_free: "Disk",
  clock_offset: "Clock",
};
