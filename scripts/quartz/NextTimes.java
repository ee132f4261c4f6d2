import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.text.ParseException;
import java.util.Date;
import java.util.SortedSet;
import java.util.TimeZone;
import java.util.TreeSet;
import org.quartz.CronExpression;

/**
 * Says what Quartz makes of cron expressions.
 *
 * Reads lines of "zone TAB start TAB count TAB expression", the start in milliseconds since 1970, and
 * answers each with a line: "refused", "failed" (accepted, but no time can be got of it), "stuck" (the search
 * for a time does not end), or "times" with the next times, fewer than count when there are no more.
 */
public final class NextTimes {
    /** Steps of one search. The longest that ends takes some thousand, to the year 2999. */
    private static final int STEPS_MAX = 50_000;

    private NextTimes() {
    }

    public static void main(String[] args) throws IOException, ReflectiveOperationException {
        BufferedReader in =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintWriter out = new PrintWriter(System.out);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.println(answer(line.split("\t", 4)));
        }
        out.flush();
    }

    private static String answer(String[] question) throws ReflectiveOperationException {
        CronExpression cron;
        try {
            cron = new CronExpression(question[3]);
        } catch (ParseException error) {
            return "refused";
        }
        cron.setTimeZone(TimeZone.getTimeZone(question[0]));
        Seconds seconds = Seconds.replaceIn(cron);
        StringBuilder times = new StringBuilder("times");
        try {
            Date time = new Date(Long.parseLong(question[1]));
            for (int left = Integer.parseInt(question[2]); left > 0; left--) {
                seconds.steps = 0;
                time = cron.getTimeAfter(time);
                if (time == null) {
                    break;
                }
                times.append(' ').append(time.getTime());
            }
        } catch (RuntimeException error) {
            return seconds.steps > STEPS_MAX ? "stuck" : "failed";
        }
        return times.toString();
    }

    /** The seconds of an expression. Every step of a search asks for them, and so is counted. */
    private static final class Seconds extends TreeSet<Integer> {
        private static final long serialVersionUID = 1L;

        private int steps;

        private Seconds(SortedSet<Integer> seconds) {
            super(seconds);
        }

        @SuppressWarnings("unchecked")
        static Seconds replaceIn(CronExpression cron) throws ReflectiveOperationException {
            Field field = CronExpression.class.getDeclaredField("seconds");
            field.setAccessible(true);
            Seconds counted = new Seconds((TreeSet<Integer>) field.get(cron));
            field.set(cron, counted);
            return counted;
        }

        @Override
        public SortedSet<Integer> tailSet(Integer from) {
            steps++;
            if (steps > STEPS_MAX) {
                throw new IllegalStateException("the search does not end");
            }
            return super.tailSet(from);
        }
    }
}
