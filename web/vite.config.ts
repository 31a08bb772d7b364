import react from "@vitejs/plugin-react";
import { loadEnv } from "vite";
import { defineConfig } from "vitest/config";

// `npm run dev` and `npx vite preview` talk to a running Norn: at NORN_URL, or
// where it listens by default.
const api = { "/api": loadEnv("", ".", "NORN_")["NORN_URL"] ?? "http://127.0.0.1:7700" };

export default defineConfig({
  plugins: [react()],
  build: { target: "es2022", assetsInlineLimit: 0, chunkSizeWarningLimit: 400 },
  server: { proxy: api },
  preview: { proxy: api },
  test: { environment: "node", include: ["src/**/*.test.ts"] },
});
