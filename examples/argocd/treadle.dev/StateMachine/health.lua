-- Health of a StateMachine: its condition Ready, of the generation that is there now.
-- Of Lua only what Argo CD has without useOpenLibs: no string library, not even through strings.
local status = obj.status or {}

if status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "the definition is not judged yet"}
end

for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Ready" then
    if condition.status == "True" then
      return {status = "Healthy", message = condition.message}
    end
    if condition.status == "False" then
      return {status = "Degraded", message = condition.reason .. ": " .. condition.message}
    end
  end
end

return {status = "Progressing", message = "the definition is not judged yet"}
