/** Why an expert does not come. The code goes on the wire and into the record; the screen shows the words. */
export const DECLINE_REASONS = ['with_patient', 'in_surgery', 'off_duty', 'other_specialty', 'more_information'] as const
