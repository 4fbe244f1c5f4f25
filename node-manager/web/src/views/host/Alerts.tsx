// What is wrong on the host, and what was.

import { counted, moment, span } from "../../format.js";
import { alertsView, newestFirst } from "../../model/live.js";
import { hostData } from "../../model/model.js";
import type { Alert } from "../../wire/host.js";
import { useApp, useNow } from "../context.js";
import type { HostViewProps } from "../HostPage.js";
import { Button, Icon, Loaded, Pill, Prose, sentence } from "../parts.js";

const TITLES: Record<string, string> = {
  out_of_sync: "Behind the chain",
  peers_low: "Too few peers",
  missed_attestations: "Missed attestations",
  disk_filling: "Disk is filling up",
  clock_drift: "Clock is off",
  service_down: "Service down",
};

/** What an alert is about, in a few words. */
export function alertTitle(alert: Alert): string {
  const title = TITLES[alert.kind] ?? alert.kind.replaceAll("_", " ");
  return alert.name === null ? title : `${title}: ${alert.name}`;
}

export function AlertCard({ alert, now }: { alert: Alert; now: number }) {
  return (
    <li class="alert" data-alert={alert.kind}>
      <Icon name="warn" />
      <div>
        <p class="strong">{alertTitle(alert)}</p>
        <p>
          <Prose text={sentence(alert.text)} />
          <span class="muted"> For {span(now / 1000 - alert.since * 60)}.</span>
        </p>
        {alert.runbook !== "" && (
          <p class="runbook">
            <span class="unseen">What to do: </span>
            <Prose text={alert.runbook} />
          </p>
        )}
      </div>
    </li>
  );
}

export function Alerts({ host, reachable }: HostViewProps) {
  const app = useApp();
  const now = useNow(10_000);
  const data = hostData(app.model, host.pairing);
  const remote = { ...data.alerts, value: alertsView(data, reachable) };
  const isWritten = !reachable && data.told.value !== null;
  const load = () => void app.ask(host.pairing, "alerts");
  return (
    <Loaded remote={isWritten ? { ...remote, problem: null } : remote} reachable={reachable} what="The alerts" rows={5} onRetry={load}>
      {({ raised, log }) => (
        <>
          {isWritten && (
            <p class="strip" data-alerts="written">
              The host cannot be reached. These are the alerts that it has written of; this computer keeps them.
            </p>
          )}
          <section aria-labelledby="raised-title">
            <div class="section-head">
              <h2 id="raised-title">{raised.length > 0 ? `${counted(raised.length, "alert")} raised` : isWritten ? "No alert raised" : "Nothing is wrong"}</h2>
              <Button kind="quiet" onClick={load} busy={remote.loading} disabled={!reachable} aria-label="Refresh the alerts">
                <Icon name="refresh" />
                <span class="word">Refresh</span>
              </Button>
            </div>
            {raised.length === 0 ? (
              <p class="card muted">
                The host watches its node, its disk, its clock and its services, and says here when something needs you.
              </p>
            ) : (
              <ul class="plain-list">
                {raised.map((alert) => (
                  <AlertCard key={`${alert.kind} ${alert.name ?? ""}`} alert={alert} now={now} />
                ))}
              </ul>
            )}
          </section>
          <section class="card" aria-labelledby="log-title">
            <h2 id="log-title">Earlier</h2>
            {log.length === 0 ? (
              <p class="muted">No alert has been raised yet.</p>
            ) : (
              <ol class="timeline">
                {newestFirst(log).map((entry, at) => {
                  const alert = entry.raised ?? entry.cleared;
                  if (alert === null) return null;
                  return (
                    <li key={at}>
                      <time>{moment(entry.at * 60_000, now)}</time>
                      <Pill tone={entry.raised === null ? "good" : "bad"}>{entry.raised === null ? "Cleared" : "Raised"}</Pill>
                      <span>
                        <span class="strong">{alertTitle(alert)}</span>
                        <span class="muted"> <Prose text={sentence(alert.text)} /></span>
                      </span>
                    </li>
                  );
                })}
              </ol>
            )}
          </section>
        </>
      )}
    </Loaded>
  );
}
