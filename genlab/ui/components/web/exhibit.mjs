// The page of an exhibit: what is told of it in words, and the plane under the finger.

import { mount } from "./plane.mjs";

export function show({ about, plane }) {
  document.title = document.querySelector("h1").textContent = about.title;
  document.querySelector("p").textContent = `${about.model} on ${about.data}: a plane of its latent space with ${about.count.toLocaleString("en")} ${plane.noun}. `
    + "Drag across it, or move with the arrow keys; Enter pins a picture, Ctrl-Z takes back. All of it runs in this browser.";
  const component = { parentElement: document.getElementById("exhibit"), data: plane, setStateValue() {} };
  const view = mount(component);
  view.update(component);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => view.update(component));
}
