// Who has asked what of the host: its audit log.

import { moment, whole } from "../../format.js";
import { hostData } from "../../model/model.js";
import type { AuditEntry } from "../../wire/host.js";
import { useApp, useNow } from "../context.js";
import type { HostViewProps } from "../HostPage.js";
import { Button, Icon, Loaded, Pill } from "../parts.js";

export function Activity({ host, reachable }: HostViewProps) {
  const app = useApp();
  const now = useNow(60_000);
  const remote = hostData(app.model, host.pairing).audit;
  const load = () => void app.ask(host.pairing, "audit");
  return (
    <section aria-labelledby="activity-title">
      <div class="section-head">
        <h2 id="activity-title">What was asked of this host</h2>
        <Button kind="quiet" onClick={load} busy={remote.loading} disabled={!reachable} aria-label="Refresh the activity">
          <Icon name="refresh" />
          <span class="word">Refresh</span>
        </Button>
      </div>
      <div class="card">
        <Loaded remote={remote} reachable={reachable} what="The activity" rows={8} onRetry={load}>
          {(entries) =>
            entries.length === 0 ? (
              <p class="muted">Nothing was asked yet.</p>
            ) : (
              <table class="audit">
                <caption class="unseen">The last {entries.length} requests, newest first</caption>
                <thead>
                  <tr>
                    <th scope="col">When</th>
                    <th scope="col">Request</th>
                    <th scope="col">From</th>
                    <th scope="col">Outcome</th>
                  </tr>
                </thead>
                <tbody>
                  {entries.map((entry, at) => (
                    <Row key={at} entry={entry} now={now} />
                  ))}
                </tbody>
              </table>
            )
          }
        </Loaded>
      </div>
    </section>
  );
}

function Row({ entry, now }: { entry: AuditEntry; now: number }) {
  const outcome = outcomeOf(entry);
  return (
    <tr>
      <td class="when">
        <time>{moment(entry.at, now)}</time>
      </td>
      <td class="request">
        <code>
          <span class="method">{entry.method || "—"}</span> {entry.path || "(not on the list)"}
        </code>
        {entry.service !== "" && <small class="muted">{entry.service}</small>}
      </td>
      <td class="from">{entry.name || entry.pairing.slice(0, 8)}</td>
      <td class="outcome">
        <Pill tone={outcome.tone}>{outcome.word}</Pill>
        <small class="muted">{outcome.more}</small>
      </td>
    </tr>
  );
}

/** How a request went, in a word and some more. */
export function outcomeOf(entry: AuditEntry): { tone: "good" | "warn" | "bad"; word: string; more: string } {
  const status = entry.status === 0 ? "" : `Status ${entry.status}`;
  if (entry.phase === "refused") {
    return { tone: "bad", word: "Refused", more: entry.grant === "" ? status : `Needs ${entry.grant}` };
  }
  if (entry.phase === "begun") return { tone: "warn", word: "Begun", more: "" };
  const size = entry.bytes === 0 ? "" : `${whole(entry.bytes)} bytes`;
  if (entry.status < 400 && entry.status !== 0) return { tone: "good", word: "Done", more: size };
  return { tone: "bad", word: "Failed", more: status };
}
