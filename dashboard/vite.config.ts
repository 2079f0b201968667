import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

// Where a tracker answers while the page is being worked on: `qqq-tracker run`.
const tracker = process.env.QQQ_TRACKER_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [svelte()],
  server: {
    proxy: Object.fromEntries(
      ["/v1", "/docs", "/openapi.json", "/subscribe/form"].map((path) => [path, tracker]),
    ),
  },
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    // Every browser that the target names preloads modules by itself.
    modulePreload: { polyfill: false },
    // What the first page needs comes in one piece each: on a phone every further request is a round trip.
    cssCodeSplit: false,
    rolldownOptions: {
      output: { codeSplitting: { groups: [{ name: "first", test: /\/src\/main\.ts$/ }] } },
    },
  },
  test: { include: ["src/**/*.test.ts"] },
});
