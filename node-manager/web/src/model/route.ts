// The part of the address after `#`.

export const TABS = ["overview", "alerts", "services", "activity", "settings"] as const;

export type Tab = (typeof TABS)[number];

export type Route = { page: "hosts" } | { page: "pair" } | { page: "host"; pairing: string; tab: Tab };

export function parseRoute(hash: string): Route {
  const [first, second, third] = hash.replace(/^#?\/?/, "").split("/");
  if (first === "pair") return { page: "pair" };
  if (first === "host" && second !== undefined && /^[0-9a-f]+$/.test(second)) {
    return { page: "host", pairing: second, tab: TABS.find((tab) => tab === third) ?? "overview" };
  }
  return { page: "hosts" };
}

export function hrefOf(route: Route): string {
  if (route.page === "hosts") return "#/";
  if (route.page === "pair") return "#/pair";
  return route.tab === "overview" ? `#/host/${route.pairing}` : `#/host/${route.pairing}/${route.tab}`;
}
