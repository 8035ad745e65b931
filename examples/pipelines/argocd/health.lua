-- Health of a LoadTest for Argo CD: resource.customizations.health.loadgate.dev_LoadTest in ConfigMap argocd-cm.
-- The status counts only where it speaks of the spec that is there now; without this script a hook counts as done at once.
local waiting = { status = "Progressing", message = "the operator has not seen this spec yet" }
local status = obj.status
if status == nil or status.conditions == nil or status.observedGeneration ~= obj.metadata.generation then
  return waiting
end

local by_type = {}
for _, condition in ipairs(status.conditions) do
  by_type[condition.type] = condition
end

local function is_true(kind)
  return by_type[kind] ~= nil and by_type[kind].status == "True"
end

local function answer(health, condition)
  local message = condition.reason or ""
  if condition.message ~= nil and condition.message ~= "" then
    message = message .. ": " .. condition.message
  end
  return { status = health, message = message }
end

if obj.spec ~= nil and obj.spec.suspend == true and not is_true("Complete") then
  return { status = "Suspended", message = "spec.suspend is true" }
end
if is_true("Reconciling") then
  return answer("Progressing", by_type.Reconciling)
end
if is_true("Stalled") then
  return answer("Degraded", by_type.Stalled)
end
if is_true("Ready") then
  return answer("Healthy", by_type.Ready)
end
if is_true("Complete") then
  return answer("Degraded", by_type.Ready or by_type.Complete)
end
return waiting
