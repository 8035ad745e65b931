-- Prints what wrk measured as one line: requests, then p50, p95, p99 and p99.9 in ms.
function done(summary, latency)
  local said = { summary.requests }
  for _, p in ipairs({ 50, 95, 99, 99.9 }) do
    said[#said + 1] = latency:percentile(p) / 1000
  end
  print("figures " .. table.concat(said, " "))
end
