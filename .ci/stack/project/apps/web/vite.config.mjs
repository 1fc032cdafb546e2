import { basename, resolve } from "node:path";
import { defineConfig, loadEnv } from "vite";

export default defineConfig(({ mode }) => {
  const { PORT } = loadEnv(mode, process.cwd(), "");
  if (!PORT) throw new Error("apps/web/.env.local has no PORT");
  return {
    define: { __WORKTREE__: JSON.stringify(basename(resolve("../.."))) },
    server: { host: "127.0.0.1", port: Number(PORT), strictPort: true },
  };
});
