import "./app.css";
import { mount } from "svelte";
import App from "./App.svelte";
import { account } from "./live/account.svelte";
import { market } from "./live/market.svelte";
import { register } from "./offline";
import { start } from "./router.svelte";

/** What is on its way already is waited for, a little: nothing then moves when it comes. */
const PATIENCE_MS = 600;

start();
market.watchStatus();
void account.resume();
await Promise.race([market.start(), new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
const target = document.getElementById("app");
if (target) mount(App, { target });
// After what the page itself needs.
if (document.readyState === "complete") void register();
else addEventListener("load", () => void register());
