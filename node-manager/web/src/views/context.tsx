import { createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";
import type { App } from "../io/app.js";

export const AppContext = createContext<App | null>(null);

/** The actor; whoever uses it is drawn anew when something has changed. */
export function useApp(): App {
  const app = useContext(AppContext);
  if (app === null) throw new Error("views are drawn inside the shell");
  const [, draw] = useState(0);
  useEffect(() => app.watch(() => draw((count) => count + 1)), [app]);
  return app;
}

/** The time in Unix milliseconds, looked at every so many milliseconds while the page is seen. */
export function useNow(every: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const look = () => document.hidden || setNow(Date.now());
    const timer = window.setInterval(look, every);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [every]);
  return now;
}
