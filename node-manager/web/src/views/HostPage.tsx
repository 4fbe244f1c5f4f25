// All about one host.

import { ago } from "../format.js";
import { alertsView } from "../model/live.js";
import { hostData } from "../model/model.js";
import { TABS, hrefOf, type Tab } from "../model/route.js";
import type { Host } from "../wire/app.js";
import { useApp, useNow } from "./context.js";
import { Activity } from "./host/Activity.js";
import { Alerts } from "./host/Alerts.js";
import { Overview } from "./host/Overview.js";
import { Services } from "./host/Services.js";
import { Settings } from "./host/Settings.js";
import { SessionPill } from "./Hosts.js";
import { Heading, Icon, Waiting } from "./parts.js";

const NAMES: Record<Tab, string> = {
  overview: "Overview",
  alerts: "Alerts",
  services: "Services",
  activity: "Activity",
  settings: "Settings",
};

const VIEWS = { overview: Overview, alerts: Alerts, services: Services, activity: Activity, settings: Settings };

/** What every view of a host is given. */
export interface HostViewProps {
  host: Host;
  /** Whether it can be asked anything. */
  reachable: boolean;
}

export function HostPage({ pairing, tab }: { pairing: string; tab: Tab }) {
  const { model } = useApp();
  const host = model.app?.hosts.find((host) => host.pairing === pairing);
  return (
    <>
      <a class="back" href={hrefOf({ page: "hosts" })}>
        <Icon name="back" />
        Your hosts
      </a>
      {host !== undefined ? (
        <Found host={host} tab={tab} />
      ) : model.app === null ? (
        <section class="card">
          <Waiting what="The host" rows={6} />
        </section>
      ) : (
        <section class="card">
          <Heading>This host is not paired</Heading>
          <p>It may have been unpaired, here or on the host. Your list of hosts has those that are.</p>
        </section>
      )}
    </>
  );
}

function Found({ host, tab }: { host: Host; tab: Tab }) {
  const { model } = useApp();
  const now = useNow(10_000);
  const reachable = host.stage === "confirmed" && host.session !== null && model.link.state === "live";
  const alerts = alertsView(hostData(model, host.pairing), reachable)?.raised.length ?? 0;
  const View = VIEWS[tab];
  return (
    <>
      <div class="page-head">
        <Heading>{host.name}</Heading>
        <SessionPill host={host} />
      </div>
      <nav class="tabs" aria-label={`Views of ${host.name}`}>
        {TABS.map((name) => (
          <a key={name} href={hrefOf({ page: "host", pairing: host.pairing, tab: name })} aria-current={name === tab ? "page" : undefined}>
            {NAMES[name]}
            {name === "alerts" && alerts > 0 && (
              <span class="count">
                {alerts}
                <span class="unseen"> raised</span>
              </span>
            )}
          </a>
        ))}
      </nav>
      {host.stage === "confirmed" && host.session === null && (
        <p class="strip">
          {host.last_seen === null ? "This host has not been seen yet." : `This host was last seen ${ago(now / 1000 - host.last_seen)}.`}{" "}
          What is shown is from then. It comes back by itself when the host is on and reaches the network.
        </p>
      )}
      <View key={host.pairing} host={host} reachable={reachable} />
    </>
  );
}
