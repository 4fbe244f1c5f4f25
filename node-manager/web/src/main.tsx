import { render } from "preact";
import { App } from "./io/app.js";
import { AppContext } from "./views/context.js";
import { Shell } from "./views/Shell.js";

const root = document.getElementById("page");
if (root !== null) {
  const app = new App();
  app.start();
  render(
    <AppContext.Provider value={app}>
      <Shell />
    </AppContext.Provider>,
    root,
  );
}
