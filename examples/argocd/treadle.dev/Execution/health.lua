-- Health of an Execution: how it ended, else what keeps it, else where it is.
-- Of Lua only what Argo CD has without useOpenLibs: no string library, not even through strings.
local status = obj.status or {}
local phase = status.phase

if phase == "Succeeded" then
  return {status = "Healthy", message = phase}
end

if phase == "Failed" or phase == "TimedOut" or phase == "Aborted" then
  local words = {phase}
  if status.error then table.insert(words, status.error) end
  if status.cause then table.insert(words, status.cause) end
  return {status = "Degraded", message = table.concat(words, ": ")}
end

local held = {}
for _, condition in ipairs(status.conditions or {}) do
  if condition.status == "True" then held[condition.type] = condition.message end
end

if held.Parked then
  return {status = "Degraded", message = "Parked: " .. held.Parked}
end
if held.Suspended then
  return {status = "Suspended", message = "Suspended: " .. held.Suspended}
end
if held.WaitingForCapacity then
  return {status = "Progressing", message = "WaitingForCapacity: " .. held.WaitingForCapacity}
end

local message = phase or "Pending"
if status.message and status.message ~= "" then
  message = message .. ": " .. status.message
end
local place = (status.currentStates or {})[1]
if place then
  message = message .. " in " .. place.name
end
if status.progress then
  message = message .. ", items " .. status.progress.text
end
return {status = "Progressing", message = message}
