import { defineConfig } from "@playwright/test";
import tests from "./playwright.config";

export default defineConfig({ ...tests, testDir: ".", testMatch: "pictures.ts", workers: 1, retries: 0 });
