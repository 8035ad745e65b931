// k6 in the open model: RATE iterations a second, PRE virtual users ready and MAX at most.
import http from "k6/http";

export const options = {
  scenarios: {
    bench: {
      executor: "constant-arrival-rate",
      rate: Number(__ENV.RATE),
      timeUnit: "1s",
      duration: `${__ENV.SECONDS}s`,
      preAllocatedVUs: Number(__ENV.PRE),
      maxVUs: Number(__ENV.MAX),
      gracefulStop: "5s",
    },
  },
  discardResponseBodies: true,
  summaryTrendStats: ["p(50)", "p(95)", "p(99)", "p(99.9)"],
};

export default function () {
  http.get(`${__ENV.BASE}/item`, { tags: { name: "item" } });
}

export function handleSummary(data) {
  const duration = data.metrics.http_req_duration.values;
  const dropped = data.metrics.dropped_iterations;
  return {
    stdout: JSON.stringify({
      requests: data.metrics.http_reqs.values.count,
      percentiles: options.summaryTrendStats.map((name) => duration[name]),
      dropped: dropped ? dropped.values.count : 0,
    }),
  };
}
