-- wrk has no rate. A delay before each request comes near one: 64 connections that each wait 127 ms make 500 a second.
function delay()
  return 127
end

function done(summary, latency)
  local said = { summary.requests }
  for _, p in ipairs({ 50, 95, 99, 99.9 }) do
    said[#said + 1] = latency:percentile(p) / 1000
  end
  print("figures " .. table.concat(said, " "))
end
