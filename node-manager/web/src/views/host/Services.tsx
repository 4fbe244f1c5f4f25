// Services that the host's node manager looks after.

import { useEffect, useRef, useState } from "preact/hooks";
import { clock, counted, moment, plain, span } from "../../format.js";
import { hostData, type Verb } from "../../model/model.js";
import type { Host } from "../../wire/app.js";
import type { LogLine, Service } from "../../wire/host.js";
import { useApp, useNow } from "../context.js";
import type { HostViewProps } from "../HostPage.js";
import { Button, Confirm, Icon, Loaded, Pill, Problem, type Tone } from "../parts.js";

export function Services({ host, reachable }: HostViewProps) {
  const app = useApp();
  const data = hostData(app.model, host.pairing);
  const mayOperate = data.info.value?.grants.includes("operate") ?? false;
  const load = () => {
    void app.ask(host.pairing, "services");
    // What this computer may do can change there, too.
    void app.ask(host.pairing, "info");
  };
  return (
    <section aria-labelledby="services-title">
      <div class="section-head">
        <h2 id="services-title">Services on this host</h2>
        <Button kind="quiet" onClick={load} busy={data.services.loading} disabled={!reachable} aria-label="Refresh the services">
          <Icon name="refresh" />
          <span class="word">Refresh</span>
        </Button>
      </div>
      {data.info.value !== null && !mayOperate && (
        <p class="strip">
          This computer may look, and not start or stop anything. The grant <code>operate</code>, given on the host, changes that.
        </p>
      )}
      <Loaded remote={data.services} reachable={reachable} what="The services" rows={5} onRetry={load}>
        {(services) =>
          services.length === 0 ? (
            <p class="card muted">The host’s node manager looks after no services.</p>
          ) : (
            <ul class="plain-list">
              {services.map((service) => (
                <ServiceCard key={service.name} host={host} service={service} mayOperate={mayOperate} reachable={reachable} />
              ))}
            </ul>
          )
        }
      </Loaded>
    </section>
  );
}

const TONES: Record<Service["state"], Tone> = { starting: "warn", running: "good", stopping: "warn", stopped: "plain", failed: "bad", unknown: "warn" };
const WORDS: Record<Service["state"], string> = {
  starting: "Starting",
  running: "Running",
  stopping: "Stopping",
  stopped: "Stopped",
  failed: "Failed",
  unknown: "Not known",
};
const DOING: Record<Verb, string> = { start: "Starting…", stop: "Stopping…", restart: "Restarting…" };
const NAMES: Record<Verb, string> = { start: "Start", stop: "Stop", restart: "Restart" };

interface CardProps {
  host: Host;
  service: Service;
  mayOperate: boolean;
  reachable: boolean;
}

function ServiceCard({ host, service, mayOperate, reachable }: CardProps) {
  const app = useApp();
  const now = useNow(10_000);
  const [asked, setAsked] = useState<Verb | null>(null);
  const [showsLog, setShowsLog] = useState(false);
  const order = hostData(app.model, host.pairing).orders[service.name];
  const isRunning = service.state === "running" || service.state === "starting";
  const isMoving = service.state === "starting" || service.state === "stopping";
  const act = (verb: Verb) => {
    setAsked(null);
    void app.order(host.pairing, service.name, verb);
  };
  const button = (verb: Verb, onClick: () => void) => (
    <Button
      onClick={onClick}
      busy={order?.busy === true && order.verb === verb}
      disabled={!reachable || order?.busy === true || (isMoving && verb !== "stop")}
      aria-label={`${NAMES[verb]} ${service.name}`}
    >
      {order?.busy && order.verb === verb ? DOING[verb] : NAMES[verb]}
    </Button>
  );
  const facts = [
    service.kind === "unit" ? "systemd unit" : "Run by the node manager",
    service.pid === null ? null : `Process ${service.pid}`,
    service.restarts === 0 ? null : `Restarted ${counted(service.restarts, "time")} by itself`,
    service.exit === null ? null : `Last end: ${service.exit}`,
  ];
  return (
    <li class="card service" data-service={service.name} data-state={service.state}>
      <div class="card-head">
        <div>
          <h3>{service.name}</h3>
          {service.description !== "" && <p class="muted">{service.description}</p>}
        </div>
        <div class="state" role="status">
          <Pill tone={TONES[service.state]}>{WORDS[service.state]}</Pill>
          {service.since !== null && <small class="muted">for {span((now - service.since) / 1000)}</small>}
        </div>
      </div>
      <p class="muted small">{facts.filter((fact) => fact !== null).join(" · ")}</p>
      {service.problem !== null && <Problem problem={{ message: service.problem, hint: null }} />}
      {order?.problem && <Problem problem={order.problem} />}
      {mayOperate && (
        <div class="row">
          {isRunning ? (
            <>
              {button("restart", () => setAsked("restart"))}
              {button("stop", () => setAsked("stop"))}
            </>
          ) : (
            button("start", () => act("start"))
          )}
          <Button
            kind="quiet"
            aria-expanded={showsLog}
            onClick={() => {
              if (!showsLog) void app.loadLog(host.pairing, service.name);
              setShowsLog(!showsLog);
            }}
            disabled={!reachable && !showsLog}
            aria-label={`${showsLog ? "Hide" : "Show"} the log of ${service.name}`}
          >
            {showsLog ? "Hide log" : "Show log"}
          </Button>
        </div>
      )}
      {mayOperate && showsLog && <Log host={host} service={service.name} reachable={reachable} now={now} />}
      {asked !== null && (
        <Confirm title={`${NAMES[asked]} ${service.name}?`} yes={NAMES[asked]} onYes={() => act(asked)} onNo={() => setAsked(null)}>
          <p>
            {asked === "stop"
              ? "It stays off until somebody starts it. While a validator or its beacon node is off, attestations are missed, and that costs."
              : "It is off for as long as it takes to come up again. A beacon node can need minutes, and attestations may be missed."}
          </p>
        </Confirm>
      )}
    </li>
  );
}

function Log({ host, service, reachable, now }: { host: Host; service: string; reachable: boolean; now: number }) {
  const app = useApp();
  const remote = hostData(app.model, host.pairing).logs[service];
  if (remote === undefined) return null;
  const load = () => void app.loadLog(host.pairing, service);
  return (
    <div class="log-view">
      <div class="row between">
        <span class="muted">{remote.at > 0 ? `Last lines, as of ${clock(remote.at)}` : "Last lines"}</span>
        <Button kind="quiet" onClick={load} busy={remote.loading} disabled={!reachable} aria-label={`Refresh the log of ${service}`}>
          <Icon name="refresh" />
          <span class="word">Refresh</span>
        </Button>
      </div>
      <Loaded remote={remote} reachable={reachable} what="The log" rows={8} onRetry={load}>
        {(lines) => (lines.length === 0 ? <p class="muted">The log is empty.</p> : <Lines service={service} lines={lines} now={now} />)}
      </Loaded>
    </div>
  );
}

function Lines({ service, lines, now }: { service: string; lines: LogLine[]; now: number }) {
  const element = useRef<HTMLPreElement>(null);
  // The newest line is at the end.
  useEffect(() => {
    if (element.current !== null) element.current.scrollTop = element.current.scrollHeight;
  }, [lines]);
  return (
    <pre ref={element} class="log" tabIndex={0} role="region" aria-label={`Log of ${service}`}>
      {lines.map((line, at) => (
        <span key={at}>
          {line.at !== null && <time>{moment(line.at, now)} </time>}
          {plain(line.text)}
          {"\n"}
        </span>
      ))}
    </pre>
  );
}
