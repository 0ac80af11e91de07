import { ElMessage } from "element-plus/es/components/message/index.mjs";
import "element-plus/theme-chalk/el-badge.css";
import "element-plus/theme-chalk/el-message.css";
import { useI18n } from "vue-i18n";

/** Says that something is done, for a moment, at the window's top; readers of the screen hear it. */
export function useSaid() {
  const { t } = useI18n();
  const said = (message: string, values: Record<string, unknown> = {}) =>
    void ElMessage({ message: t(message, values), type: "success", plain: true, grouping: true });
  return { said };
}
