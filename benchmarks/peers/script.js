// k6's side of each case. CASE chooses it; VUS, SECONDS and BASE are as for the others.
import http from "k6/http";
import { check, sleep } from "k6";

const base = __ENV.BASE;
const vus = Number(__ENV.VUS);
const closed = { executor: "constant-vus", vus, duration: `${__ENV.SECONDS}s`, gracefulStop: "2s", exec: __ENV.CASE };

export const options = {
  scenarios: { bench: closed },
  insecureSkipTLSVerify: true,
  discardResponseBodies: __ENV.CASE !== "journey",
  summaryTrendStats: ["p(50)", "p(99)"],
  thresholds: __ENV.CASE === "journey" ? { "http_req_duration{name:item}": ["p(95)<60000"] } : {},
};

const named = { tags: { name: "item" } };

export function plain() {
  http.get(`${base}/item`, named);
}

export function journey() {
  const headers = { "X-Iteration": `${__ITER}` };
  const first = http.get(`${base}/item?vu=${__VU}`, { headers, tags: { name: "item" } });
  check(first, { status: (r) => r.status === 200, "has a sku": (r) => r.json("sku") !== undefined });
  const second = http.get(`${base}/item?id=${first.json("id")}`, { tags: { name: "again" } });
  check(second, { status: (r) => r.status === 200 });
}

export function paced() {
  http.get(`${base}/item`, named);
  sleep(Number(__ENV.THINK));
}

export function idle() {
  http.get(`${base}/item`, named);
  sleep(600);
}

export function handleSummary(data) {
  const duration = data.metrics.http_req_duration.values;
  const said = { requests: data.metrics.http_reqs.values.count, p50: duration["p(50)"], p99: duration["p(99)"] };
  return { stdout: JSON.stringify(said) };
}
