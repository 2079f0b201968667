import "./app.css";
import { mount } from "svelte";
import App from "./App.svelte";
import { account } from "./live/account.svelte";
import { market } from "./live/market.svelte";
import { register } from "./offline";
import { start } from "./router.svelte";

/** What is on its way already is waited for, a little: nothing then moves when it comes. */
const PATIENCE_MS = 600;
const REGISTER_AFTER_MS = 5_000;

start();
market.watchStatus();
void account.resume();
await Promise.race([market.start(), new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
// A pause: what was waiting for the script to be read, a touch among it, goes first.
await new Promise((resolve) => setTimeout(resolve));
const target = document.getElementById("app");
if (target) mount(App, { target });
// What makes the page work without a network is no part of its beginning, on a phone least of all.
setTimeout(() => void register(), REGISTER_AFTER_MS);
